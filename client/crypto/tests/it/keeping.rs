//! What a browser keeps, and a device that was set back in time.

use edge_chat_crypto::{CryptoError, Device};

use crate::storm::Dice;
use crate::world::{KEY, Kept, ROOM, World, content};

#[test]
fn a_device_is_the_same_after_every_message() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let (mut hers, mut his) = (Kept::default(), Kept::default());
    for n in 0..130 {
        let (from, to) = if n % 3 == 0 { (&mut bob, &mut ada) } else { (&mut ada, &mut bob) };
        let message = world.say(from, &n.to_string());
        assert_eq!(world.hear(to, &message), n.to_string());
        let written = hers.save(&mut ada) + his.save(&mut bob);
        assert!(n < 10 || written <= 12, "{written} records for one message");
        (ada, bob) = (hers.load(), his.load());
    }
    assert_eq!(ada.take_changes().unwrap(), []);
    assert_eq!((ada.user_id(), ada.device_id()), ("ada", "a1"));
}

#[test]
fn what_is_kept_opens_with_its_key_and_under_its_name_only() {
    let mut world = World::default();
    let (mut ada, _bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    world.say(&mut ada, "the canary sings");
    let mut kept = Kept::default();
    kept.save(&mut ada);
    let all = |kept: &Kept| -> Vec<(String, String)> { kept.0.clone().into_iter().collect() };
    let load = |key, records: &[(String, String)]| {
        Device::load(key, records.iter().map(|(name, value)| (name.as_str(), value.as_str()))).map(|_| ())
    };
    let records = all(&kept);
    assert_eq!(load(KEY, &records), Ok(()));
    assert_eq!(load([8; 32], &records), Err(CryptoError::StateUnreadable));
    for at in 0..records.len() {
        let mut other = records.clone();
        other[at].1 = records[(at + 1) % records.len()].1.clone();
        assert_eq!(load(KEY, &other), Err(CryptoError::StateUnreadable), "{}", records[at].0);
        let mut cut = records.clone();
        cut[at].1.truncate(30);
        assert_eq!(load(KEY, &cut), Err(CryptoError::StateUnreadable));
    }
    assert_eq!(load(KEY, &records[1..]), Err(CryptoError::StateUnreadable), "without the account");
    assert!(!format!("{ada:?} {records:?}").contains("canary"));
}

/// Both directions work again within a message of each side (two where all its keys are gone too), and nothing was read
/// wrongly meanwhile.
fn heals(said_meanwhile: usize, from_first: bool, hears_own: bool, keys_gone: bool) {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let hello = world.say(&mut ada, "hello");
    world.hear(&mut bob, &hello);
    let back = world.say(&mut bob, "hello back");
    world.hear(&mut ada, &back);
    let mut kept = Kept::default();
    kept.save(&mut bob);
    let mut log = vec![hello, back];
    for n in 0..said_meanwhile {
        let one = world.say(&mut bob, &format!("b {n}"));
        assert_eq!(world.hear(&mut ada, &one), format!("b {n}"));
        let other = world.say(&mut ada, &format!("a {n}"));
        assert_eq!(world.hear(&mut bob, &other), format!("a {n}"));
        log.extend([one, other]);
    }
    if keys_gone {
        // All keys that it had published are handed out, and the server has only ones that it does not know any more.
        let ids = [bob.device_id().to_owned()];
        (0..50).for_each(|_| drop(world.claim("bob", &ids)));
        world.publish(&mut bob);
    }
    bob = kept.load();
    if hears_own {
        // The room's history comes before anything is said.
        for message in &log {
            assert!(matches!(
                world.read(&mut bob, message),
                Ok(_) | Err(CryptoError::NoKey | CryptoError::KeyUnreadable)
            ));
        }
    }
    let mut bad = Vec::new();
    for round in 0..3 {
        for bob_speaks in [from_first, !from_first] {
            let (from, to) = if bob_speaks { (&mut bob, &mut ada) } else { (&mut ada, &mut bob) };
            let message = world.say(from, &format!("round {round}"));
            let mut answer = world.read(to, &message);
            if answer == Err(CryptoError::NoKey) {
                // As a client does, it looks for the key in history.
                log.iter().for_each(|older| drop(world.read(to, older)));
                answer = world.read(to, &message);
            }
            log.push(message);
            match answer {
                Ok(opened) => assert_eq!(opened.body, format!("round {round}")),
                Err(error) => bad.push((round, error)),
            }
        }
    }
    println!(
        "{said_meanwhile} meanwhile, from first {from_first}, hears own {hears_own}, keys gone {keys_gone}: {bad:?}"
    );
    assert!(bad.iter().all(|(round, _)| *round <= usize::from(keys_gone)), "{bad:?}");
    let known =
        |error: &CryptoError| matches!(error, CryptoError::Replayed | CryptoError::KeyUnreadable | CryptoError::NoKey);
    assert!(bad.iter().all(|(_, error)| known(error)), "{bad:?}");
    if hears_own && !keys_gone && said_meanwhile < 90 {
        assert_eq!(bad, [], "who hears first what it said is understood at once");
    }
}

#[test]
fn a_device_that_was_set_back_in_time_is_understood_again() {
    for said_meanwhile in [0, 1, 5, 50, 150, 350] {
        for from_first in [false, true] {
            for hears_own in [false, true] {
                heals(said_meanwhile, from_first, hears_own, false);
                heals(said_meanwhile, from_first, hears_own, true);
            }
        }
    }
}

#[test]
fn no_index_is_used_twice_once_the_device_has_heard_itself() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let first = world.say(&mut bob, "first");
    let mut kept = Kept::default();
    kept.save(&mut bob);
    let second = world.say(&mut bob, "second");
    world.hear(&mut ada, &first);
    world.hear(&mut ada, &second);
    bob = kept.load();
    assert_eq!(world.hear(&mut bob, &second), "second");
    let third = world.say(&mut bob, "third");
    assert_ne!(content(&third)["session_id"], content(&second)["session_id"]);
    assert_eq!(world.hear(&mut ada, &third), "third");
    assert!(bob.encrypt(ROOM, &world.lists(), "c", "x").is_ok());
}

/// Both are set back, some of the time with the keys that they had published used up; gives after how many rounds each
/// reads the other, five times in a row.
fn both_set_back(seed: u64) -> usize {
    let mut world = World::default();
    let mut dice = Dice(seed);
    let mut two = [world.add("ada", "a1"), world.add("bob", "b1")];
    let mut kept = [Kept::default(), Kept::default()];
    let mut copies: [Vec<Kept>; 2] = [Vec::new(), Vec::new()];
    let mut log = Vec::new();
    let speak = |world: &mut World, two: &mut [Device; 2], log: &mut Vec<_>, who: usize| {
        let message = world.say(&mut two[who], "hello");
        world.read(&mut two[who], &message).ok();
        let mut answer = world.read(&mut two[1 - who], &message);
        if answer == Err(CryptoError::NoKey) {
            log.iter().for_each(|older| drop(world.read(&mut two[1 - who], older)));
            answer = world.read(&mut two[1 - who], &message);
        }
        log.push(message);
        two.iter_mut().for_each(|device| world.top_up(device));
        answer.is_ok()
    };
    for _ in 0..60 {
        let who = dice.roll(2);
        for (at, device) in two.iter_mut().enumerate() {
            kept[at].save(device);
        }
        if dice.roll(4) == 0 {
            copies[who].push(kept[who].clone());
        }
        if dice.roll(8) == 0 && !copies[who].is_empty() {
            if dice.roll(2) == 0 {
                let ids = [two[who].device_id().to_owned()];
                (0..50).for_each(|_| drop(world.claim(two[who].user_id(), &ids)));
                world.publish(&mut two[who]);
            }
            kept[who] = copies[who][dice.roll(copies[who].len())].clone();
            two[who] = kept[who].load();
            if dice.roll(2) == 0 {
                log.iter().for_each(|older| drop(world.read(&mut two[who], older)));
            }
        }
        speak(&mut world, &mut two, &mut log, who);
    }
    let mut good = 0;
    for round in 0..100 {
        good = if [0, 1].map(|who| speak(&mut world, &mut two, &mut log, who)) == [true; 2] { good + 1 } else { 0 };
        if good == 5 {
            return round - 4;
        }
    }
    usize::MAX
}

#[test]
fn two_that_were_both_set_back_understand_each_other_again() {
    let mut rounds: Vec<usize> = (0..200).map(both_set_back).collect();
    rounds.sort_unstable();
    println!("rounds until both read again: half {}, most {}", rounds[100], rounds[199]);
    assert!(rounds[199] < 100, "{rounds:?}");
}
