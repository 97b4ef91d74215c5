//! Tokens to identities: the keys of a deployment, the checks of a token, roles.

mod identity;
mod keys;
mod role;
mod sign;
mod signature;
mod token;

#[cfg(test)]
mod tests;

pub use identity::Identity;
pub use keys::Keys;
pub use role::{Role, effective};
pub use sign::{Bearer, sign};
pub use signature::is_signed;
pub use token::{Claims, MAX_TOKEN_BYTES, RoomGrant, verify};
