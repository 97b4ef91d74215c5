//! Devices of users and their public keys, as REST has them. Keys and signatures are unpadded base64.

use super::UserId;
use serde::{Deserialize, Serialize};

/// A one-time or fallback key with its device's signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SignedKey {
    /// What the device calls it: 1–64 characters of `A-Z a-z 0-9 + / _ -`.
    pub key_id: String,
    /// The Curve25519 key: 32 bytes.
    pub key: String,
    /// The Ed25519 signature, 64 bytes, of `edge-chat/v1/one-time-key` (of a fallback key `edge-chat/v1/fallback-key`),
    /// the user's id, the device's, `key_id` and `key`, joined by newlines.
    pub signature: String,
}

/// The body of `PUT /api/devices/{device_id}/keys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishKeys {
    /// What its owner calls the device: 1–64 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The device's Curve25519 identity key; it never changes.
    pub curve25519: String,
    /// The device's Ed25519 identity key; it never changes.
    pub ed25519: String,
    /// What is given where no one-time key is left; it replaces the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback_key: Option<SignedKey>,
    /// Keys that are given to one sender each, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_time_keys: Vec<SignedKey>,
}

/// The answer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PublishedKeys {
    /// The device.
    pub device_id: String,
    /// How many one-time keys are left.
    pub one_time_keys: usize,
}

/// The body of `PATCH /api/devices/{device_id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NameDevice {
    /// 1–64 characters.
    pub name: String,
}

/// The body of `POST /api/users/{user_id}/keys/claim`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimKeys {
    /// Of which devices; all without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_ids: Option<Vec<String>>,
}

/// The body of `PUT /api/me/key-backup`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyBackup {
    /// What only the client can read: unpadded base64, at most 262,144 characters.
    pub data: String,
}

/// A backup as it is given back.
#[derive(Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeptBackup {
    /// As it was sent.
    pub data: String,
    /// When that was, RFC 3339.
    pub updated_at: String,
}

/// A device.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema), schema(as = Device))]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Device"))]
pub struct DeviceData<'a> {
    /// Its id.
    pub device_id: &'a str,
    /// What its owner calls it; to its owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    /// Its Curve25519 identity key.
    pub curve25519: &'a str,
    /// Its Ed25519 identity key.
    pub ed25519: &'a str,
    /// When it was first seen, RFC 3339.
    pub created_at: String,
    /// How many one-time keys are left; to its owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one_time_keys: Option<usize>,
}

/// A user's devices.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeviceList<'a> {
    /// Whose.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: &'a UserId,
    /// Grows with each device that comes or goes.
    pub version: u64,
    /// By id.
    pub devices: Vec<DeviceData<'a>>,
}

/// A key that was handed out.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedKey {
    /// The key.
    #[serde(flatten)]
    pub key: SignedKey,
    /// Whether it is the fallback key, which others get too.
    pub fallback: bool,
}

/// A device with the key that was claimed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedDevice {
    /// The device.
    pub device_id: String,
    /// Its Curve25519 identity key.
    pub curve25519: String,
    /// Its Ed25519 identity key.
    pub ed25519: String,
    /// A key of it; left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<ClaimedKey>,
}

/// What was claimed.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimedKeys<'a> {
    /// Whose.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub user_id: &'a UserId,
    /// As in the list of devices.
    pub version: u64,
    /// The devices asked for, as far as they are there.
    pub devices: Vec<ClaimedDevice>,
}
