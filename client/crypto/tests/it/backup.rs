//! The backup: what a new device reads with it, and what not.

use edge_chat_crypto::CryptoError;

use crate::world::{Kept, ROOM, World};

#[test]
fn a_new_device_reads_the_old_part_with_the_recovery_key() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let mut said = Vec::new();
    for n in 0..250 {
        let from = if n % 2 == 0 { &mut ada } else { &mut bob };
        let message = world.say(from, &n.to_string());
        world.hear(&mut ada, &message);
        world.hear(&mut bob, &message);
        said.push((message, n.to_string()));
    }
    let key = bob.recovery_key().unwrap();
    assert_eq!(key, bob.recovery_key().unwrap());
    let groups: Vec<&str> = key.split('-').collect();
    assert_eq!((groups.len(), groups.iter().all(|group| group.len() == 4)), (8, true), "{key}");
    let backup = bob.backup().unwrap();
    assert_eq!((backup.sessions, backup.left_out), (4, 0));
    assert_ne!(backup.data, bob.backup().unwrap().data, "sealed anew each time");
    let later = world.say(&mut ada, "after the backup");
    world.remove(&bob);

    let mut new = world.add("bob", "b2");
    assert_eq!(world.read(&mut new, &said[0].0), Err(CryptoError::NoKey));
    // Typed by hand.
    let typed = key.to_lowercase().replace('-', " ").replace('o', "0");
    assert_eq!(new.restore_backup(&typed, &backup.data), Ok(4));
    let mut kept = Kept::default();
    kept.save(&mut new);
    new = kept.load();
    for (message, body) in &said {
        assert_eq!(world.hear(&mut new, message), *body);
        let copy = edge_chat_crypto::MessageIn { message_id: "copy".into(), ..message.clone() };
        assert_eq!(world.read(&mut new, &copy), Err(CryptoError::Replayed));
    }
    assert!(new.has_recovery_key());
    assert_eq!(new.recovery_key().unwrap(), key, "the next backup is under the same key");
    assert_eq!(new.restore_backup(&key, &backup.data), Ok(0));
    // An old backup has not what came after it; what is said from now on is read.
    assert_eq!(world.hear(&mut ada, &later), "after the backup");
    let session_goes_on = world.read(&mut new, &later);
    assert_eq!(
        session_goes_on.map(|opened| opened.body),
        Ok("after the backup".into()),
        "the session was in the backup"
    );
    let fresh = world.say(&mut ada, "to the new device");
    assert_eq!(world.hear(&mut new, &fresh), "to the new device");
    let answer = world.say(&mut new, "from the new device");
    assert_eq!(world.hear(&mut ada, &answer), "from the new device");
}

#[test]
fn an_old_backup_lacks_later_sessions_and_says_so() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let before = world.say(&mut ada, "before");
    world.hear(&mut bob, &before);
    let (key, backup) = (bob.recovery_key().unwrap(), bob.backup().unwrap());
    let mut after = world.say(&mut ada, "0");
    for n in 1..150 {
        after = world.say(&mut ada, &n.to_string());
    }
    let mut new = world.add("bob", "b2");
    new.restore_backup(&key, &backup.data).unwrap();
    assert_eq!(world.hear(&mut new, &before), "before");
    let error = world.read(&mut new, &after).unwrap_err();
    assert_eq!(error, CryptoError::NoKey);
    assert!(error.to_string().contains("before the device was added"), "{error}");
}

#[test]
fn a_backup_opens_with_its_key_for_its_user_and_whole() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let message = world.say(&mut ada, "the canary sings");
    world.hear(&mut bob, &message);
    let (key, other) = (bob.recovery_key().unwrap(), ada.recovery_key().unwrap());
    let data = bob.backup().unwrap().data;
    let mut new = world.add("bob", "b2");
    for (typed, error) in [
        (other.as_str(), CryptoError::WrongRecoveryKey),
        ("", CryptoError::NotARecoveryKey),
        ("AAAA-BBBB", CryptoError::NotARecoveryKey),
        ("9999-9999-9999-9999-9999-9999-9999-9999", CryptoError::NotARecoveryKey),
        (&format!("{key}A"), CryptoError::NotARecoveryKey),
    ] {
        assert_eq!(new.restore_backup(typed, &data), Err(error), "{typed}");
    }
    assert_eq!(new.restore_backup(&key, ""), Err(CryptoError::BackupUnreadable));
    assert_eq!(new.restore_backup(&key, "A"), Err(CryptoError::BackupUnreadable));
    assert_eq!(new.restore_backup(&key, &format!("Ag{}", &data[2..])), Err(CryptoError::BackupUnreadable));
    for cut in 1..8 {
        // Where that is base64 still, it does not open.
        let error = new.restore_backup(&key, &data[..data.len() - cut]).unwrap_err();
        assert!(matches!(error, CryptoError::WrongRecoveryKey | CryptoError::BackupUnreadable), "{error:?}");
    }
    assert_eq!(world.add("mallory", "m1").restore_backup(&key, &data), Err(CryptoError::WrongRecoveryKey));
    assert!(!new.has_recovery_key());
    assert_eq!(new.restore_backup(&key, &data), Ok(1));
}

#[test]
fn a_full_backup_leaves_out_the_oldest_and_counts_them() {
    let mut world = World::default();
    let (mut ada, mut bob) = (world.add("ada", "a1"), world.add("bob", "b1"));
    let mut sessions = Vec::new();
    for n in 0..1_000 {
        // A session for each room.
        let room = format!("{ROOM}{n}");
        world.prepare_in(&room, &mut ada);
        let made = ada.encrypt(&room, &world.lists(), "c", &n.to_string()).unwrap();
        let message = edge_chat_crypto::MessageIn {
            message_id: format!("m-{n}"),
            room_id: room,
            user_id: "ada".into(),
            client_id: "c".into(),
            content: made.content,
            franking: made.franking,
        };
        world.hear(&mut bob, &message);
        sessions.push(message);
    }
    let (key, backup) = (bob.recovery_key().unwrap(), bob.backup().unwrap());
    assert!(backup.data.len() <= 256 * 1024 && backup.data.len() > 200 * 1024, "{}", backup.data.len());
    assert!(backup.left_out > 0 && backup.sessions > 500, "{} {}", backup.sessions, backup.left_out);
    assert_eq!(backup.sessions + backup.left_out, 1_000);
    let mut new = world.add("bob", "b2");
    assert_eq!(new.restore_backup(&key, &backup.data), Ok(backup.sessions));
    assert_eq!(world.hear(&mut new, sessions.last().unwrap()), "999");
    assert_eq!(world.read(&mut new, &sessions[0]), Err(CryptoError::NoKey));
    println!("{} sessions in {} bytes", backup.sessions, backup.data.len());
}
