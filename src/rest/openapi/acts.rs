//! The operations of those who keep order.

use super::{Doc, Who, json};
use crate::host::Bans;
use crate::protocol::ErrorCode;
use crate::protocol::act::{
    Announcement, Appointed, BanUser, Denial, Reasoned, ReportBody, ResolveBody, SetTerms, Terms, TryTerms,
};
use crate::protocol::erasure::{ErasureBody, ErasureData};
use crate::protocol::report::{OpenedReport, ReportData, ReportPage, ReportedData};
use crate::rest::Route;
use crate::room::{Allowed, BanData, DeletedData, HeldList, PinnedData, RoleData, Sent, Tried};
use crate::sinks::history::AuditPage;
use crate::user::{BlockList, SignedOut};
use utoipa::openapi::schema::Object;

/// What an act's route does; none for other routes.
pub(super) fn describe(route: &Route) -> Option<Doc> {
    let doc = |id, summary| Doc::new(id, summary, Who::Bearer).room();
    let say = [ErrorCode::MessageEmpty, ErrorCode::MessageTooLong, ErrorCode::RateLimited, ErrorCode::StorageFull];
    Some(match route {
        Route::Bans(_) => doc("listBans", "Who is banned; for moderators and above.").answer(
            200,
            "The bans that hold now.",
            json::<Bans<'static>>(),
        ),
        Route::Ban(_) => doc(
            "ban",
            "Keeps a user of a lower role out, for a while or for good: all their sockets in the room close. A repeat \
             replaces what was.",
        )
        .body::<BanUser>()
        .answer(200, "The ban.", json::<BanData<'static>>()),
        Route::Unban(..) => doc("unban", "Lets a banned user in again.")
            .text_query("reason", "Why, at most 500 characters; for the audit.")
            .answer(204, "Not banned any more.", None)
            .errors(&[ErrorCode::UserNotFound, ErrorCode::BadRequest]),
        Route::DeleteUserMessages(..) => {
            doc("deleteUserMessages", "Makes tombstones of a user's messages, the newest 1,000 of the log at a time.")
                .text_query("reason", "Why, at most 500 characters; for moderators and the audit.")
                .answer(200, "How many, and whether there are more.", json::<DeletedData>())
                .errors(&[ErrorCode::BadRequest])
        }
        Route::Clear(_) => doc(
            "clear",
            "Makes tombstones of all messages, the newest 1,000 of the log at a time. A body is optional.",
        )
        .optional_body::<Reasoned>()
        .answer(200, "How many, and whether there are more.", json::<DeletedData>()),
        Route::Announce(_) => doc("announce", "Says something in the room's name: a message of type `system`.")
            .body::<Announcement>()
            .answer(201, "Said.", json::<Sent>())
            .errors(&say),
        Route::Pin(_, _, false) => doc("pin", "Pins a message; of more than five the oldest goes.")
            .answer(200, "What is pinned now.", json::<PinnedData<'static>>())
            .errors(&[ErrorCode::MessageNotFound, ErrorCode::MessageTooOld]),
        Route::Pin(..) => doc("unpin", "Takes a pinned message down.")
            .answer(200, "What is pinned now.", json::<PinnedData<'static>>())
            .errors(&[ErrorCode::MessageNotFound]),
        Route::Erase(_) => Doc::new(
            "eraseUser",
            "Erases a user everywhere, as a job that goes on by itself; for admins and services. While one runs for the \
             same user, that one is answered. A body is optional.",
            Who::Bearer,
        )
        .body::<ErasureBody>()
        .answer(202, "The job.", json::<ErasureData>())
        .errors(&[ErrorCode::BadRequest, ErrorCode::OnHold, ErrorCode::Unavailable]),
        Route::Erasure(_) => {
            Doc::new("getErasure", "How far an erasure is, and once it has ended what was found; for admins and services.", Who::Bearer)
                .answer(200, "The job, with `progress` or `proof`.", json::<ErasureData>())
                .errors(&[ErrorCode::ErasureNotFound, ErrorCode::Unavailable])
        }
        Route::Role(_, _, false) => {
            doc("setRole", "Gives a user a role below one's own: `member` or `moderator`, by services `owner` too.")
                .body::<Appointed>()
                .answer(200, "The role.", json::<RoleData<'static>>())
        }
        Route::Role(..) => doc("takeRole", "Takes the room's role from a user.")
            .answer(200, "Taken.", json::<RoleData<'static>>())
            .errors(&[ErrorCode::BadRequest]),
        Route::Held(_) => doc("listHeld", "Messages that wait for a moderator; for moderators and above.").answer(
            200,
            "What waits, oldest first.",
            json::<HeldList>(),
        ),
        Route::ReviewHeld(_, _, false) => doc("allowHeld", "Lets a message that waits be said: as a fresh message.")
            .answer(200, "Said.", json::<Allowed>())
            .errors(&[ErrorCode::MessageNotFound]),
        Route::ReviewHeld(..) => {
            doc("denyHeld", "Refuses a message that waits; its author is told. A body is optional.")
                .optional_body::<Denial>()
                .answer(200, "Refused.", Some(("application/json", Object::new().into())))
                .errors(&[ErrorCode::MessageNotFound])
        }
        Route::Terms(_) => doc("getTerms", "The room's own words and phrases; for moderators and above.").answer(
            200,
            "All of them.",
            json::<Terms>(),
        ),
        Route::SetTerms(_) => doc("setTerms", "Sets all of the room's words and phrases.").body::<SetTerms>().answer(
            200,
            "All of them.",
            json::<Terms>(),
        ),
        Route::TryTerms(_) => {
            doc("tryTerms", "What would become of a member's message, under these terms or the room's.")
                .body::<TryTerms>()
                .answer(200, "The verdict.", json::<Tried>())
                .errors(&[ErrorCode::MessageEmpty, ErrorCode::MessageTooLong])
        }
        Route::Audit(_) => doc("getAudit", "Who did what to whom, newest first; for moderators and above.")
            .query("before", "Lines older than this, ms since 1970.", 0, None)
            .query("limit", "Lines a page, and those of the same ms as the last one; 50 without it.", 1, Some(100))
            .answer(200, "The page.", json::<AuditPage>()),
        Route::ReportMessage(_) => Doc::new(
            "report",
            "Tells moderators of somebody else's message; for everyone who may read the room. One report a user and \
             message: a repeat is answered 200, with the first.",
            Who::Bearer,
        )
        .message()
        .body::<ReportBody>()
        .answer(201, "The report.", json::<ReportedData<'static>>())
        .also(200, "The report, which was there already.")
        .errors(&[ErrorCode::RateLimited, ErrorCode::Banned]),
        Route::Reports(_) => doc("listReports", "The room's reports, newest first; for moderators and above.")
            .text_query("status", "`open`, the default, `resolved` or `dismissed`.")
            .text_query("before", "Reports made before this one, by its id.")
            .query("limit", "Reports a page; 50 without it.", 1, Some(100))
            .answer(200, "The page.", json::<ReportPage<'static>>()),
        Route::Report(..) => doc("openReport", "One report, with the ten messages before and after.")
            .answer(200, "The report.", json::<OpenedReport<'static>>())
            .errors(&[ErrorCode::ReportNotFound]),
        Route::ResolveReport(..) => {
            doc("resolveReport", "Decides a report. The same decision again changes nothing; another one replaces it.")
                .body::<ResolveBody>()
                .answer(200, "The report.", json::<ReportData<'static>>())
                .errors(&[ErrorCode::ReportNotFound])
        }
        Route::Blocks => Doc::new("listBlocks", "Whom one blocks.", Who::Bearer).answer(
            200,
            "By user id.",
            json::<BlockList<'static>>(),
        ),
        Route::Block(_, false) => Doc::new(
            "block",
            "Does not show one what a user says, in any room, but in those where one is moderator or above; the user is \
             not told. Twice is once. At most 1,000 users.",
            Who::Bearer,
        )
        .answer(204, "Blocked.", None)
        .errors(&[ErrorCode::TooManyBlocks, ErrorCode::BadRequest]),
        Route::Block(..) => Doc::new("unblock", "Shows one again what a user says.", Who::Bearer)
            .answer(204, "Not blocked any more.", None)
            .errors(&[ErrorCode::UserNotFound]),
        Route::SignOut => Doc::new(
            "signOut",
            "Signs one out everywhere: all sockets close, and every token made until now is refused, as is any that does \
             not say when it was made. Answered at the end of the second, so that a token made after the answer works.",
            Who::Bearer,
        )
        .answer(200, "Signed out.", json::<SignedOut>()),
        _ => return None,
    })
}
