//! What can be done next with what an answer names.

use utoipa::openapi::link::{Link, LinkBuilder};

/// A parameter, and where its value stands.
type Parameter = (&'static str, &'static str);

const ROOM: &[Parameter] = &[("room_id", "$response.body#/room_id")];
const SAME_ROOM: Parameter = ("room_id", "$request.path.room_id");
const MESSAGE: Parameter = ("message_id", "$response.body#/message_id");
const SAME_USER: Parameter = ("user_id", "$request.path.user_id");
const BODY_USER: Parameter = ("user_id", "$response.body#/user_id");
const DEVICE: &[Parameter] = &[("device_id", "$request.path.device_id")];
const REPORT: &[Parameter] = &[("room_id", "$response.body#/room_id"), ("report_id", "$response.body#/report_id")];

/// From which operation, to which, and the parameters that it takes along.
const LINKS: &[(&str, &str, &[Parameter])] = &[
    ("createRoom", "getRoom", ROOM),
    ("createRoom", "patchRoom", ROOM),
    ("createRoom", "postMessage", ROOM),
    ("createRoom", "getMessages", ROOM),
    ("createRoom", "getMembers", ROOM),
    ("createRoom", "getStats", ROOM),
    ("createRoom", "announce", ROOM),
    ("createRoom", "ban", ROOM),
    ("createRoom", "listBans", ROOM),
    ("createRoom", "listHeld", ROOM),
    ("createRoom", "setTerms", ROOM),
    ("createRoom", "getTerms", ROOM),
    ("createRoom", "tryTerms", ROOM),
    ("createRoom", "listReports", ROOM),
    ("createRoom", "getAudit", ROOM),
    ("createRoom", "clear", ROOM),
    ("createRoom", "setRole", ROOM),
    ("createRoom", "deleteRoom", ROOM),
    ("postMessage", "getMessages", &[SAME_ROOM]),
    ("postMessage", "editMessage", &[MESSAGE]),
    ("postMessage", "deleteMessage", &[MESSAGE, SAME_ROOM]),
    ("postMessage", "report", &[MESSAGE]),
    ("postMessage", "pin", &[SAME_ROOM, MESSAGE]),
    ("announce", "deleteMessage", &[MESSAGE, SAME_ROOM]),
    ("pin", "unpin", &[SAME_ROOM, ("message_id", "$request.path.message_id")]),
    ("ban", "unban", &[SAME_ROOM, BODY_USER]),
    ("ban", "deleteUserMessages", &[SAME_ROOM, BODY_USER]),
    ("setRole", "takeRole", &[SAME_ROOM, SAME_USER]),
    ("setTerms", "getTerms", &[SAME_ROOM]),
    ("report", "openReport", REPORT),
    ("report", "resolveReport", REPORT),
    ("resolveReport", "openReport", REPORT),
    ("openDirect", "getRoom", ROOM),
    ("block", "unblock", &[SAME_USER]),
    ("publishKeys", "nameDevice", DEVICE),
    ("publishKeys", "removeDevice", DEVICE),
    ("deleteRoom", "getRoom", &[SAME_ROOM]),
];

/// The links of an operation's success.
pub(super) fn of(id: &str) -> impl Iterator<Item = (&'static str, Link)> + '_ {
    LINKS.iter().filter(move |(from, ..)| *from == id).map(|(_, to, parameters)| {
        let link = parameters
            .iter()
            .fold(LinkBuilder::new().operation_id(*to), |link, (name, value)| link.parameter(*name, *value));
        (*to, link.build())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_is_between_two_operations() {
        let api: serde_json::Value = serde_json::from_str(&super::super::openapi_json()).unwrap();
        let paths = api["paths"].as_object().unwrap().values().flat_map(|path| path.as_object().unwrap().values());
        let ids: Vec<_> = paths.filter_map(|operation| operation["operationId"].as_str()).collect();
        for (from, to, _) in LINKS {
            assert!(ids.contains(from) && ids.contains(to), "{from} → {to}");
        }
    }
}
