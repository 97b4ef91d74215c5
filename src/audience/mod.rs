//! Those who listen: sockets, who is present, who is typing, what each has been sent. Knows nothing of the log.

mod alive;
mod behind;
mod blocks;
mod fanout;
mod gather;
mod ladder;
mod pace;
mod presence;
mod probe;
mod sample;
mod socket;

pub use alive::Silent;
pub use behind::Behind;
pub use fanout::Fanout;
pub use gather::gather;
pub use ladder::Level;
pub use pace::{FRAME_BUDGET, sockets_within};
pub use presence::Gone;
pub use probe::Reading;
pub use socket::{Attachment, SocketId};

use crate::auth::{Identity, Role};
use crate::protocol::call::Standing;
use crate::protocol::wire::{Line, Member};
use crate::protocol::{ErrorCode, Mention, UserId};
use crate::room::Present as RoomPresent;
use crate::user::hash;
use presence::Present;
use serde::Serialize;
use socket::Socket;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// How long a socket may wait before it joins, ms.
const JOIN_WITHIN: u64 = 10_000;

/// Who gets a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum To {
    /// One socket.
    One(SocketId),
    /// These.
    Many(Rc<[SocketId]>),
}

/// What is to be done with sockets, in order, once the step is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Out {
    /// Send a frame.
    Send(To, Line),
    /// Close with a code and a JSON reason.
    Close(SocketId, u16, String),
    /// Keep this as the socket's attachment.
    Attach(SocketId, String),
}

/// Which sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// All who joined.
    All,
    /// Those below moderator.
    Plain,
    /// Moderators and above.
    Moderators,
}

impl Class {
    /// Those who may see different things.
    const APART: [Self; 2] = [Self::Plain, Self::Moderators];
}

#[derive(Debug, Default)]
struct Lists {
    all: Option<Rc<[SocketId]>>,
    plain: Option<Rc<[SocketId]>>,
    moderators: Option<Rc<[SocketId]>>,
}

/// The sockets of one object and the people behind them.
#[derive(Debug, Default)]
pub struct Audience {
    sockets: BTreeMap<SocketId, Socket>,
    /// Sockets of users that have not joined.
    unjoined: BTreeSet<(UserId, SocketId)>,
    users: BTreeMap<UserId, Present>,
    guests: BTreeMap<String, usize>,
    /// What is known of users who are here and block somebody.
    blocks: BTreeMap<UserId, Standing>,
    lists: Lists,
    ladder: ladder::Ladder,
    /// (when, which): each socket's next deadline, so that a tick looks only at those that are due.
    deadlines: BTreeSet<(u64, SocketId)>,
    /// (when, who): users whose last tab was closed.
    leaving: BTreeSet<(u64, UserId)>,
    /// Bytes broadcast since this object was built.
    sent: u64,
    rounds: probe::Rounds,
    pace: pace::Pace,
    looking: alive::Looking,
    /// Users who are in other objects of the room: with a role above member, and whom the command that is carried out
    /// may mention.
    staff_elsewhere: BTreeMap<UserId, Role>,
    mentioned: Vec<Mention>,
    /// Users who are in other objects, where these are few.
    elsewhere: Vec<Member>,
    /// Somebody came or went.
    people_changed: bool,
    /// Counts comings and goings.
    people: u64,
    /// What `room_stats` tells has changed, the number of messages apart; and that number.
    stats_dirty: bool,
    count_dirty: bool,
    stats_at: u64,
}

/// The reason of a close as clients read it.
pub fn close_reason(retry: bool, after_ms: u64) -> String {
    #[derive(Serialize)]
    struct Reason {
        retry: bool,
        after_ms: u64,
    }
    crate::protocol::wire::json(&Reason { retry, after_ms })
}

impl Audience {
    /// A socket that was accepted and has not joined.
    pub fn open(&mut self, id: SocketId, identity: Option<Identity>, guest: String, now: u64) -> Attachment {
        let attachment = Attachment::new(id, identity, guest, now);
        self.hold(Socket::new(attachment.clone(), self.sent));
        attachment
    }

    /// A socket that was there before this object was built anew.
    pub fn restore(&mut self, attachment: Attachment, role: Role) {
        let id = attachment.id;
        let mut socket = Socket::new(attachment, self.sent);
        socket.role = role;
        let joined = socket.attachment.joined;
        self.hold(socket);
        if joined {
            self.enter(id);
            // Who stayed was told before.
            self.level_told();
        }
    }

    fn hold(&mut self, socket: Socket) {
        let id = socket.attachment.id;
        self.opened(socket.attachment.at);
        self.unjoined.extend(socket.unjoined());
        self.sockets.insert(id, socket);
        self.index(id);
    }

    /// The attachment of a socket.
    pub fn attachment(&self, id: SocketId) -> Option<&Attachment> {
        self.sockets.get(&id).map(|socket| &socket.attachment)
    }

    /// The role of a socket's user in this room.
    pub fn role(&self, id: SocketId) -> Role {
        self.sockets.get(&id).map_or(Role::Guest, |socket| socket.role)
    }

    /// Whether this user has `most` sockets here.
    pub fn is_full_for(&self, user: &str, most: usize) -> bool {
        self.users.get(user).is_some_and(|present| present.sockets.len() >= most)
    }

    /// Lets a socket take part. Whether its user was not here before.
    pub fn join(&mut self, id: SocketId, identity: Option<Identity>, role: Role) -> bool {
        let Some(socket) = self.sockets.get_mut(&id) else { return false };
        if let Some(key) = socket.unjoined() {
            self.unjoined.remove(&key);
        }
        let again = std::mem::replace(&mut socket.attachment.joined, true);
        let guest = identity.is_none();
        socket.attachment.identity = identity;
        socket.role = role;
        self.index(id);
        // A guest who joins again is counted already.
        if again && guest {
            return false;
        }
        self.stats_dirty = true;
        self.enter(id)
    }

    /// A newer token for a socket's user.
    pub fn refresh(&mut self, id: SocketId, identity: Identity, role: Role) {
        if let Some(socket) = self.sockets.get_mut(&id) {
            socket.attachment.identity = Some(identity);
            socket.role = role;
            self.lists = Lists::default();
            self.index(id);
        }
    }

    /// Sets every socket's role anew, after the room's roles or settings changed.
    pub fn reassess(&mut self, role_of: impl Fn(Option<&Identity>) -> Role) {
        for socket in self.sockets.values_mut() {
            socket.role = role_of(socket.attachment.identity.as_ref());
        }
        self.lists = Lists::default();
    }

    /// All sockets that joined.
    pub fn joined(&mut self) -> Rc<[SocketId]> {
        self.list(Class::All)
    }

    /// The sockets of a class, listed anew only when somebody came or went.
    pub fn list(&mut self, class: Class) -> Rc<[SocketId]> {
        let slot = match class {
            Class::All => &mut self.lists.all,
            Class::Plain => &mut self.lists.plain,
            Class::Moderators => &mut self.lists.moderators,
        };
        let wanted = |socket: &Socket| {
            let moderator = socket.role.at_least(Role::Moderator);
            socket.attachment.joined && (class == Class::All || moderator == (class == Class::Moderators))
        };
        let sockets = &self.sockets;
        let listed = || sockets.iter().filter(|(_, socket)| wanted(socket)).map(|(id, _)| *id).collect();
        slot.get_or_insert_with(listed).clone()
    }

    /// The sockets of everyone but `user`.
    pub fn list_without(&self, user: &str) -> Rc<[SocketId]> {
        let other = |socket: &Socket| socket.user_id() != Some(user);
        let joined = self.sockets.iter().filter(|(_, socket)| socket.attachment.joined && other(socket));
        joined.map(|(id, _)| *id).collect()
    }

    /// The sockets of one user.
    pub fn list_of(&self, user: &str) -> Rc<[SocketId]> {
        self.users.get(user).map_or_else(|| Rc::from([]), |present| present.sockets.iter().copied().collect())
    }

    /// How many sockets there are, joined or not.
    pub fn socket_count(&self) -> usize {
        self.sockets.len()
    }

    /// Those who are here, by id.
    pub fn members(&self) -> impl Iterator<Item = Member> + '_ {
        self.users.iter().map(|(user_id, present)| Member {
            user_id: user_id.clone(),
            username: present.username.clone(),
            avatar: present.avatar.clone(),
            role: present.sockets.first().map_or(present.role, |id| self.role(*id)),
        })
    }

    /// Users with a role above member who are in other objects of the room.
    pub fn set_staff_elsewhere(&mut self, staff: BTreeMap<UserId, Role>) {
        self.staff_elsewhere = staff;
    }

    /// Users who are in other objects, as far as they are known; also such as are here.
    pub fn set_elsewhere(&mut self, members: Vec<Member>) {
        self.elsewhere = members;
    }

    /// Those who are here, and those who are known to be elsewhere.
    pub fn all_members(&self) -> impl Iterator<Item = Member> + '_ {
        let elsewhere = self.elsewhere.iter().filter(|member| !self.users.contains_key(&member.user_id));
        self.members().chain(elsewhere.cloned())
    }

    /// Users in another object of the room whom the next command may mention.
    pub fn set_mentioned(&mut self, mentioned: Vec<Mention>) {
        self.mentioned = mentioned;
    }

    /// Those who are here with a role above member, at most so many, the highest first.
    pub fn staff(&self, most: usize) -> Vec<(UserId, Role)> {
        let role = |present: &Present| present.sockets.iter().map(|id| self.role(*id)).max();
        let staff = self.users.iter().filter_map(|(user, present)| Some((user.clone(), role(present)?)));
        let mut staff: Vec<_> = staff.filter(|(_, role)| role.at_least(Role::Moderator)).collect();
        staff.sort_by_key(|(_, role)| std::cmp::Reverse(*role));
        staff.truncate(most);
        staff
    }

    /// All sockets, each with the key that decides which object of the room serves it; and whether that stands: who has
    /// not joined yet may still bring a token.
    pub fn keys(&self) -> impl Iterator<Item = (SocketId, u64, bool)> + '_ {
        self.sockets.iter().map(|(id, socket)| {
            let Attachment { joined, identity, guest, .. } = &socket.attachment;
            (*id, hash(socket.user_id().unwrap_or(guest)), *joined || identity.is_some())
        })
    }

    /// Takes a closed socket away.
    pub fn closed(&mut self, id: SocketId, now: u64) {
        let Some(socket) = self.sockets.remove(&id) else { return };
        if let Some(at) = socket.indexed {
            self.deadlines.remove(&(at, id));
        }
        if let Some(key) = socket.unjoined() {
            self.unjoined.remove(&key);
        }
        if socket.attachment.joined {
            self.leave(&socket, now);
        }
    }

    /// One more bad frame on a socket; whether it was one too many.
    pub fn bad_frame(&mut self, id: SocketId, now: u64) -> bool {
        self.sockets.get_mut(&id).is_some_and(|socket| socket.bad_frame(now))
    }

    /// One more refusal on a socket because of a rate; whether it was one too many.
    pub fn refused(&mut self, id: SocketId, now: u64) -> bool {
        self.sockets.get_mut(&id).is_some_and(|socket| socket.refused(now))
    }

    /// Sockets whose time is over at `now`, and why; they are no longer counted as due. Tokens go by the platform's clock.
    pub fn overdue(&mut self, now: u64, platform: u64) -> Vec<(SocketId, ErrorCode)> {
        let (mut due, mut later) = (Vec::new(), Vec::new());
        while let Some(&(at, id)) = self.deadlines.first() {
            if at > now {
                break;
            }
            self.deadlines.remove(&(at, id));
            if let Some(socket) = self.sockets.get_mut(&id) {
                socket.indexed = None;
                match socket.overdue(now, platform, JOIN_WITHIN) {
                    Ok(code) => due.push((id, code)),
                    Err(left) => {
                        socket.indexed = Some(now.saturating_add(left));
                        later.push((now.saturating_add(left), id));
                    }
                }
            }
        }
        self.deadlines.extend(later);
        due
    }

    /// When the next socket's time is over, ms.
    pub fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Keeps the set of deadlines in step with what the socket says of itself.
    fn index(&mut self, id: SocketId) {
        let Some(socket) = self.sockets.get_mut(&id) else { return };
        let deadline = socket.deadline(JOIN_WITHIN);
        if socket.indexed != deadline {
            if let Some(old) = socket.indexed {
                self.deadlines.remove(&(old, id));
            }
            self.deadlines.extend(deadline.map(|at| (at, id)));
            socket.indexed = deadline;
        }
    }
}

fn named(member: &Member) -> Mention {
    Mention { user_id: member.user_id.clone(), username: member.username.clone() }
}

impl RoomPresent for Audience {
    fn by_name(&self, lowercase: &str) -> Vec<Mention> {
        let bearers = self.users.iter().filter(|(_, present)| present.lowercase == lowercase);
        let here = bearers.map(|(id, present)| Mention { user_id: id.clone(), username: present.username.clone() });
        let told = self.mentioned.iter().filter(|mention| mention.username.to_lowercase() == lowercase);
        let elsewhere = self.elsewhere.iter().filter(|member| member.username.to_lowercase() == lowercase).map(named);
        here.chain(told.cloned()).chain(elsewhere).collect()
    }

    fn by_id(&self, user_id: &str) -> Option<Mention> {
        let told = self.mentioned.iter().find(|mention| mention.user_id == user_id).cloned();
        let known = || self.elsewhere.iter().find(|member| member.user_id == user_id).map(named);
        let here = self.users.get(user_id);
        let here = here.map(|present| Mention { user_id: user_id.to_owned(), username: present.username.clone() });
        here.or(told).or_else(known)
    }

    fn role_of(&self, user_id: &str) -> Option<Role> {
        let here = self.users.get(user_id).and_then(|present| present.sockets.iter().map(|id| self.role(*id)).max());
        here.max(self.staff_elsewhere.get(user_id).copied())
    }

    fn is_split(&self) -> bool {
        self.is_part()
    }
}
