//! Redis's protocol, as far as the bridge speaks it: commands out, replies without arrays in.

use redis_protocol::resp2::decode::decode;
use redis_protocol::resp2::encode::encode_borrowed;
use redis_protocol::resp2::types::{BorrowedFrame, OwnedFrame};

/// No reply that the bridge asks for is longer, in bytes.
const LONGEST: usize = 64 << 10;

/// A reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// Anything that is no error.
    Text(String),
    /// Redis's words, for the operator.
    Error(String),
}

/// A command as it goes over the wire.
pub fn command(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().map(|word| BorrowedFrame::BulkString(word.as_bytes())).collect();
    let frame = BorrowedFrame::Array(&words);
    let mut bytes = vec![0; frame.encode_len(false)];
    let encoded = encode_borrowed(&mut bytes, &frame, false);
    encoded.ok().and_then(|_| String::from_utf8(bytes).ok()).unwrap_or_default()
}

/// Takes the first reply out of what has been read so far; none where it is not whole.
///
/// # Errors
/// It is none that the bridge asks for: in words for the operator. The connection is of no more use.
pub fn read_reply(read: &mut Vec<u8>) -> Result<Option<Reply>, String> {
    // Arrays in arrays would go as deep as the sender likes.
    if read.first().is_some_and(|first| !b"+-:$".contains(first)) {
        return Err("a reply of another kind than was asked for".into());
    }
    let decoded = decode(read).map_err(|_| "a reply that cannot be read")?;
    let Some((frame, length)) = decoded else {
        return if read.len() > LONGEST { Err("a reply longer than any that was asked for".into()) } else { Ok(None) };
    };
    read.drain(..length);
    let text = |bytes: Vec<u8>| Reply::Text(String::from_utf8_lossy(&bytes).into_owned());
    Ok(Some(match frame {
        OwnedFrame::SimpleString(bytes) | OwnedFrame::BulkString(bytes) => text(bytes),
        OwnedFrame::Error(error) => Reply::Error(told(&error)),
        OwnedFrame::Integer(number) => Reply::Text(number.to_string()),
        OwnedFrame::Null | OwnedFrame::Array(_) => Reply::Text(String::new()),
    }))
}

/// An error without what it quotes of the command, which may be a secret.
fn told(error: &str) -> String {
    let bare = error.split_once(", with args").map_or(error, |(bare, _)| bare);
    bare.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8], at_once: usize) -> Result<Vec<Reply>, String> {
        let (mut buffer, mut replies) = (Vec::new(), Vec::new());
        while !bytes.is_empty() {
            let (head, tail) = bytes.split_at(at_once.min(bytes.len()));
            buffer.extend_from_slice(head);
            bytes = tail;
            while let Some(reply) = read_reply(&mut buffer)? {
                replies.push(reply);
            }
        }
        Ok(replies)
    }

    #[test]
    fn b1_a_command_is_an_array_of_its_words() {
        assert_eq!(command(&["SELECT", "", "é\r\n"]), "*3\r\n$6\r\nSELECT\r\n$0\r\n\r\n$4\r\né\r\n\r\n");
    }

    #[test]
    fn b1_replies_are_read_however_they_are_cut() {
        let text = |text: &str| Reply::Text(text.into());
        for at_once in 1..20 {
            let replies = read(b"+OK\r\n$5\r\n17-42\r\n-OOM no\r\n:7\r\n$-1\r\n", at_once).unwrap();
            assert_eq!(replies, [text("OK"), text("17-42"), Reply::Error("OOM no".into()), text("7"), text("")]);
        }
    }

    #[test]
    fn b1_what_was_not_asked_for_ends_the_connection() {
        assert!(read("*1\r\n".repeat(100_000).as_bytes(), 4_096).is_err());
        assert!(read(b"HTTP/1.1 400 Bad Request\r\n", 4_096).is_err());
        assert!(read(b"$x\r\n", 4).is_err());
        assert!(read(format!("+{}", "x".repeat(100_000)).as_bytes(), 4_096).is_err());
        assert!(read(b"$99999999999\r\n", 4_096).unwrap().is_empty());
    }

    #[test]
    fn b1_an_error_is_told_without_the_words_that_it_quotes() {
        let replies = read(b"-ERR unknown command 'AUTH', with args beginning with: 'ada' 'secret'\r\n", 99).unwrap();
        assert_eq!(replies, [Reply::Error("ERR unknown command 'AUTH'".into())]);
    }
}
