//! One operation: what is said of it in few words, and how that is spelled out.

use super::{bounds, links};
use crate::protocol::ErrorCode;
use crate::rest::problem::Problem;
use std::collections::BTreeMap;
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Object, Ref, Schema, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, RefOr, Required, ResponseBuilder};

/// Who may call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody; a token is not looked at.
    Open,
    /// Anybody where the room allows guests; a token that is sent has to be good.
    Reader,
    /// Whoever has a token.
    Bearer,
    /// Whoever has METRICS_TOKEN.
    Operator,
}

/// One operation, before it is spelled out.
pub(super) struct Doc {
    id: &'static str,
    summary: &'static str,
    who: Who,
    queries: Vec<(ParameterIn, &'static str, &'static str, Schema)>,
    body: Option<(RefOr<Schema>, Required)>,
    answer: (u16, &'static str, Vec<(&'static str, RefOr<Schema>)>),
    /// Another status that means success, and what it says then.
    also: Option<(u16, &'static str)>,
    errors: Vec<ErrorCode>,
    /// Nothing may be there, which is `about:blank`.
    nothing: bool,
}

pub(super) fn named<T: ToSchema>() -> RefOr<Schema> {
    Ref::from_schema_name(T::name()).into()
}

pub(super) fn json<T: ToSchema>() -> Option<(&'static str, RefOr<Schema>)> {
    Some(("application/json", named::<T>()))
}

pub(super) fn string() -> Schema {
    Object::with_type(Type::String).into()
}

/// The largest number that JavaScript holds exactly.
const SAFE: u64 = (1 << 53) - 1;

fn of_parameter(name: &str) -> Schema {
    bounds::parameter(name).map_or_else(string, bounds::Bound::schema)
}

impl Doc {
    pub(super) fn new(id: &'static str, summary: &'static str, who: Who) -> Self {
        let mut errors = vec![ErrorCode::Misconfigured];
        if matches!(who, Who::Reader | Who::Bearer) {
            errors.extend([ErrorCode::TokenInvalid, ErrorCode::TokenExpired, ErrorCode::TokenRequired]);
            errors.extend([ErrorCode::Forbidden, ErrorCode::RateLimited]);
            errors.extend([ErrorCode::Unavailable, ErrorCode::Internal]);
        }
        let answer = (200, "Done.", Vec::new());
        Self { id, summary, who, queries: Vec::new(), body: None, answer, also: None, errors, nothing: false }
    }

    /// It is answered without a look at settings or tokens.
    pub(super) fn plain(id: &'static str, summary: &'static str, kind: &'static str) -> Self {
        let schema = if kind == "text/plain" { string() } else { Object::new().into() };
        let answer = (200, "As it says.", vec![(kind, RefOr::from(schema))]);
        Self { answer, errors: Vec::new(), ..Self::new(id, summary, Who::Open) }
    }

    /// It names a room.
    pub(super) fn room(self) -> Self {
        self.errors(&[ErrorCode::InvalidRoomId, ErrorCode::RoomNotFound, ErrorCode::RoomDeleted])
    }

    /// A number in the query, with its bounds.
    pub(super) fn query(mut self, name: &'static str, description: &'static str, low: u64, high: Option<u64>) -> Self {
        let bound = bounds::Bound::Whole(low, high.unwrap_or(SAFE));
        self.queries.push((ParameterIn::Query, name, description, bound.schema()));
        self.errors(&[ErrorCode::InvalidParameter])
    }

    /// It is an act on a message, which finds its room by itself or is told.
    pub(super) fn message(self) -> Self {
        self.errors(&[ErrorCode::MessageNotFound, ErrorCode::InvalidRoomId])
            .errors(&[ErrorCode::RoomNotFound, ErrorCode::RoomDeleted])
    }

    pub(super) fn text_query(mut self, name: &'static str, description: &'static str) -> Self {
        self.queries.push((ParameterIn::Query, name, description, of_parameter(name)));
        self.errors(&[ErrorCode::InvalidParameter])
    }

    pub(super) fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.queries.push((ParameterIn::Header, name, description, of_parameter(name)));
        self
    }

    pub(super) fn body<T: ToSchema>(mut self) -> Self {
        self.body = Some((named::<T>(), Required::True));
        self.errors(&[ErrorCode::BadRequest, ErrorCode::FrameTooLarge])
    }

    /// A body that may be left out.
    pub(super) fn optional_body<T: ToSchema>(mut self) -> Self {
        self.body = Some((named::<T>(), Required::False));
        self.errors(&[ErrorCode::BadRequest, ErrorCode::FrameTooLarge])
    }

    /// Success of another kind, with the same content.
    pub(super) fn also(mut self, status: u16, description: &'static str) -> Self {
        self.also = Some((status, description));
        self
    }

    /// The same answer in another form.
    pub(super) fn or(mut self, kind: &'static str, schema: Schema) -> Self {
        self.answer.2.push((kind, schema.into()));
        self
    }

    /// What it names need not be there at all.
    pub(super) fn or_nothing(mut self) -> Self {
        self.nothing = true;
        self
    }

    pub(super) fn answer(
        mut self,
        status: u16,
        description: &'static str,
        content: Option<(&'static str, RefOr<Schema>)>,
    ) -> Self {
        self.answer = (status, description, content.into_iter().collect());
        self
    }

    pub(super) fn errors(mut self, errors: &[ErrorCode]) -> Self {
        self.errors.extend(errors);
        self
    }

    pub(super) fn operation(self, path: &str) -> Operation {
        let mut operation =
            OperationBuilder::new().operation_id(Some(self.id)).summary(Some(self.summary)).security(match self.who {
                Who::Open => SecurityRequirement::default(),
                Who::Reader | Who::Bearer => SecurityRequirement::new("bearer", [] as [&str; 0]),
                Who::Operator => SecurityRequirement::new("metrics", [] as [&str; 0]),
            });
        if self.who == Who::Reader {
            operation = operation.security(SecurityRequirement::default());
        }
        for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
            let parameter = ParameterBuilder::new().name(name).parameter_in(ParameterIn::Path);
            operation = operation.parameter(parameter.required(Required::True).schema(Some(of_parameter(name))));
        }
        for (place, name, description, schema) in self.queries {
            let parameter = ParameterBuilder::new().name(name).parameter_in(place);
            operation = operation.parameter(parameter.description(Some(description)).schema(Some(schema)));
        }
        if let Some((schema, required)) = self.body {
            let content = ContentBuilder::new().schema(Some(schema)).build();
            let body = RequestBodyBuilder::new().content("application/json", content).required(Some(required));
            operation = operation.request_body(Some(body.build()));
        }
        let (status, description, contents) = self.answer;
        for (status, description) in std::iter::once((status, description)).chain(self.also) {
            let mut response = ResponseBuilder::new().description(description);
            for (kind, schema) in &contents {
                response = response.content(*kind, ContentBuilder::new().schema(Some(schema.clone())).build());
            }
            if status == 201 && matches!(self.id, "createRoom" | "openDirect") {
                let location = HeaderBuilder::new().schema(Some(string())).description(Some("The room's path."));
                response = response.header("Location", location.build());
            }
            for (name, link) in links::of(self.id) {
                response = response.link(name, link);
            }
            operation = operation.response(status.to_string(), response);
        }
        let mut by_status: BTreeMap<u16, Vec<&str>> = BTreeMap::new();
        for code in self.errors {
            let codes = by_status.entry(code.status()).or_default();
            if !codes.contains(&code.as_str()) {
                codes.push(code.as_str());
            }
        }
        if self.nothing {
            by_status.entry(404).or_default();
        }
        for (status, codes) in by_status {
            let content = ContentBuilder::new().schema(Some(named::<Problem<'static>>())).build();
            let described = if codes.is_empty() {
                "There is nothing here.".to_owned()
            } else {
                format!("`{}`", codes.join("`, `"))
            };
            let mut response = ResponseBuilder::new().description(described);
            if status == 429 {
                let wait = HeaderBuilder::new().schema(Some(bounds::Bound::Whole(0, SAFE).schema()));
                response = response.header("Retry-After", wait.description(Some("Seconds to wait.")).build());
            }
            operation = operation.response(status.to_string(), response.content("application/problem+json", content));
        }
        operation.build()
    }
}
