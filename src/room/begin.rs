//! How a room begins: out of its storage at each wake, made anew, or restored from what PostgreSQL remembers.

use super::webhook::KEY_HOOKED;
use super::{
    Bridged, Hooked, KEY_BAN, KEY_BRIDGED, KEY_DRAINED, KEY_EPOCH, KEY_PINNED, KEY_ROLE, KEY_ROOM, KEY_SHUT, KEY_TERMS,
    Log, Rates, Read, Room, Step, StorageFault, Window, edits, held, reports,
};
use crate::auth::Role;
use crate::content;
use crate::protocol::act::Terms;
use crate::protocol::call::Remembered;
use crate::protocol::wire::json;
use crate::protocol::{Audience, Body, RoomId, RoomInfo, UserId};
use crate::settings::Settings;
use std::collections::BTreeMap;
use std::rc::Rc;

impl Room {
    /// The room as its storage holds it; none where the storage is empty.
    ///
    /// # Errors
    /// The storage cannot be read.
    pub fn load(id: &RoomId, settings: Rc<Settings>, log: &dyn Log, now: u64) -> Read<Option<Self>> {
        let fault = |key: &str| StorageFault(format!("the state under {key} cannot be read"));
        let (mut info, mut epoch, mut drained, mut roles) = (None, 0, 0, BTreeMap::new());
        let (mut edits, mut reports) = (edits::Edits::default(), reports::Reports::default());
        let mut shut = BTreeMap::new();
        let (mut bans, mut pinned) = (BTreeMap::new(), Vec::new());
        let (mut bridged, mut hooked) = (Bridged::default(), Hooked::default());
        let mut kept = super::retention::Kept::default();
        let (mut terms, mut held) = (Terms::default(), held::Queue::default());
        for (key, value) in log.state()? {
            match key.as_str() {
                KEY_ROOM => info = Some(serde_json::from_str(&value).map_err(|_| fault(&key))?),
                KEY_EPOCH => epoch = value.parse().map_err(|_| fault(&key))?,
                KEY_DRAINED => drained = value.parse().map_err(|_| fault(&key))?,
                KEY_BRIDGED => bridged = serde_json::from_str(&value).map_err(|_| fault(&key))?,
                KEY_HOOKED => hooked = serde_json::from_str(&value).map_err(|_| fault(&key))?,
                super::retention::KEY_KEPT => kept = serde_json::from_str(&value).map_err(|_| fault(&key))?,
                KEY_TERMS => terms = serde_json::from_str(&value).map_err(|_| fault(&key))?,
                _ if edits.load(&key, &value) || reports.load(&key, &value) => {}
                _ if held.load(&key, &value)? => {}
                KEY_PINNED => pinned = serde_json::from_str(&value).map_err(|_| fault(&key))?,
                _ => {
                    if let Some(user) = key.strip_prefix(KEY_SHUT) {
                        Self::load_shut(&mut shut, user, &value).map_err(|()| fault(&key))?;
                    } else if let Some(user) = key.strip_prefix(KEY_BAN) {
                        bans.insert(user.to_owned(), serde_json::from_str(&value).map_err(|_| fault(&key))?);
                    } else if let Some(user) = key.strip_prefix(KEY_ROLE) {
                        let role = serde_json::from_str(&value).map_err(|_| fault(&key))?;
                        roles.insert(user.to_owned(), role);
                    }
                }
            }
        }
        let Some(info) = info else { return Ok(None) };
        let mut room = Self::bare(id, settings, info, roles, epoch);
        room.drained = drained;
        room.bridged = bridged;
        room.hooked = hooked;
        room.edits = edits;
        room.reports = reports;
        room.bans = bans;
        room.shut = shut;
        room.pinned = pinned;
        room.kept = kept;
        room.held = held;
        room.terms = terms;
        room.refilter();
        if let Some(row) = log.rows_before(u64::MAX, 1)?.first() {
            room.last_seq = row.last;
            room.last_no = row.no;
            let last = row.events.last();
            room.last_at = last.map_or(0, |event| event.at);
            room.visible_at = last.map_or(0, |event| event.visible_at);
        }
        room.reload_rates(log, now)?;
        Ok(Some(room))
    }

    fn bare(id: &RoomId, settings: Rc<Settings>, info: RoomInfo, roles: BTreeMap<UserId, Role>, epoch: u64) -> Self {
        Self {
            id: id.clone(),
            settings,
            info,
            roles,
            epoch,
            last_seq: 0,
            last_no: 0,
            last_at: 0,
            visible_at: 0,
            drained: 0,
            bridged: Bridged::default(),
            hooked: Hooked::default(),
            bans: BTreeMap::new(),
            pinned: Vec::new(),
            kept: super::retention::Kept::default(),
            rates: Rates::default(),
            said: Window::default(),
            reacted: Rates::default(),
            refused: Rates::default(),
            edits: edits::Edits::default(),
            reports: reports::Reports::default(),
            authors: None,
            dedupe: None,
            held: held::Queue::default(),
            terms: Terms::default(),
            shut: BTreeMap::new(),
            filters: content::Filters::default(),
            spoken: None,
            recent: super::recent::Recent::default(),
        }
    }

    /// A room made now. `roles` are those it begins with, the owner's apart.
    pub fn create(
        id: &RoomId,
        settings: Rc<Settings>,
        info: RoomInfo,
        roles: BTreeMap<UserId, Role>,
        now: u64,
    ) -> (Self, Step) {
        Self::begin(id, settings, info, roles, now, 0)
    }

    /// A room whose storage was lost, from what PostgreSQL remembers: a new epoch, the numbering going on.
    pub fn restore(
        id: &RoomId,
        settings: Rc<Settings>,
        remembered: Remembered,
        now: u64,
        entropy: &[u8; 32],
    ) -> (Self, Step) {
        let Remembered { info, roles, bans, pinned, terms, held, reports, blocks, first_no, last_no, epoch } =
            remembered;
        let (mut room, mut step) = Self::begin(id, settings, info, roles, now.max(epoch.saturating_add(1)), last_no);
        let kept = super::retention::Kept::from(first_no);
        if kept != room.kept {
            room.kept = kept;
            step.write.state.push((super::retention::KEY_KEPT.into(), Some(json(&room.kept))));
        }
        for ban in bans {
            step.write.state.push((format!("{KEY_BAN}{}", ban.user_id), Some(json(&ban))));
            room.bans.insert(ban.user_id.clone(), ban);
        }
        if !pinned.is_empty() {
            step.write.state.push((KEY_PINNED.into(), Some(json(&pinned))));
            room.pinned = pinned;
        }
        if terms != Terms::default() {
            step.write.state.push((KEY_TERMS.into(), Some(json(&terms))));
            room.terms = terms;
            room.refilter();
        }
        for user_id in blocks.keys() {
            step.write.state.push(room.shuts_again(user_id));
        }
        for report in reports {
            room.reports.keep(report, Vec::new(), &mut step);
        }
        room.hold_again(&mut step, now, held, entropy);
        room.seal(&mut step);
        (room, step)
    }

    fn begin(
        id: &RoomId,
        settings: Rc<Settings>,
        info: RoomInfo,
        roles: BTreeMap<UserId, Role>,
        epoch: u64,
        last_no: u64,
    ) -> (Self, Step) {
        let mut room = Self::bare(id, settings, info, roles, epoch);
        room.last_no = last_no;
        let mut step = Step::default();
        step.write.state.push((KEY_EPOCH.into(), Some(epoch.to_string())));
        room.describe(&mut step, Vec::new(), None, epoch, Audience::Internal);
        for (user_id, role) in room.roles.clone() {
            step.write.state.push((format!("{KEY_ROLE}{user_id}"), Some(json(&role))));
            let body = Body::Role { user_id, username: None, role: Some(role), by: None, by_role: None };
            room.append(&mut step, epoch, Audience::Internal, body);
        }
        room.seal(&mut step);
        (room, step)
    }
}
