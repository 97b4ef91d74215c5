//! A server that loses, doubles, reorders, replays and damages what passes through it.

use edge_chat_crypto::{CryptoError, MessageIn};

use crate::world::{Kept, World, with_content};

/// The same numbers in each run.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn ten_thousand_messages_lost_doubled_reordered_replayed_and_damaged() {
    let mut world = World::default();
    let mut talkers = [world.add("ada", "a1"), world.add("ada", "a2"), world.add("bob", "b1"), world.add("bob", "b2")];
    let mut kept = vec![Kept::default(); talkers.len()];
    let mut dice = Dice(4);
    let mut log: Vec<(MessageIn, String)> = Vec::new();
    let (mut lost, mut read, mut doubled, mut replays, mut damaged) = (Vec::new(), 0, 0, 0, 0);
    let mut on_the_way: Vec<Vec<usize>> = vec![Vec::new(); talkers.len()];
    for n in 0..10_000 {
        let from = dice.roll(talkers.len());
        let body = format!("message {n} ✓ {}", "x".repeat(dice.roll(200)));
        let message = world.say(&mut talkers[from], &body);
        if n % 50 == 0 {
            talkers.iter_mut().for_each(|device| world.publish(device));
        }
        log.push((message, body));
        for (to, queue) in on_the_way.iter_mut().enumerate() {
            match dice.roll(10) {
                0 => lost.push((to, n)),
                1 => queue.extend([n, n]),
                // Before what is on its way already.
                2 | 3 => queue.insert(dice.roll(queue.len() + 1), n),
                _ => queue.push(n),
            }
            while queue.len() > 5 {
                let (message, body) = &log[queue.remove(0)];
                match world.read(&mut talkers[to], message) {
                    Ok(opened) => assert_eq!(opened.body, *body),
                    // Its key is in a message that was lost or is late: it is read from history below.
                    Err(CryptoError::NoKey) => lost.push((to, log.iter().position(|one| one.0 == *message).unwrap())),
                    Err(error) => panic!("{error:?}: {message:?}"),
                }
                read += 1;
                match dice.roll(20) {
                    0 if world.read(&mut talkers[to], message).is_ok() => {
                        doubled += 1;
                        let copy =
                            MessageIn { message_id: format!("copy of {}", message.message_id), ..message.clone() };
                        assert_eq!(world.read(&mut talkers[to], &copy), Err(CryptoError::Replayed));
                        replays += 1;
                    }
                    1 => {
                        let spoilt = with_content(message, |content| {
                            let text = content["ciphertext"].as_str().unwrap().to_owned();
                            let at = 20 + dice.roll(text.len() - 40);
                            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
                            content["ciphertext"] = format!("{}{other}{}", &text[..at], &text[at + 1..]).into();
                        });
                        let answer = world.read(&mut talkers[to], &spoilt).unwrap_err();
                        assert!(matches!(answer, CryptoError::Undecryptable | CryptoError::NoKey), "{answer:?}");
                        damaged += 1;
                    }
                    _ => {}
                }
            }
        }
        // Somebody closes the browser and comes back.
        if dice.roll(100) == 0 {
            let who = dice.roll(talkers.len());
            kept[who].save(&mut talkers[who]);
            talkers[who] = kept[who].load();
        }
    }
    // History has everything in order; whoever lacks a key goes back to where it was brought.
    for (to, device) in talkers.iter_mut().enumerate() {
        for (message, body) in &log {
            assert_eq!(world.hear(device, message), *body, "device {to}");
        }
    }
    assert!(
        lost.len() > 3_000 && doubled > 500 && replays > 500 && damaged > 500,
        "{} {doubled} {damaged}",
        lost.len()
    );
    println!(
        "read {read}, lost or late {}, doubled {doubled}, replays {replays}, damaged {damaged}, claims {}",
        lost.len(),
        world.claims
    );
}
