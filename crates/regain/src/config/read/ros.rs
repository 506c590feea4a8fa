//! Settings of the Realm Object Server that Regain does not have: what to do instead of pasting them.

use super::super::reader::Advice;

const OWN_HASHES: &str = "is not a setting of Regain, which hashes with Argon2id, while a hash from ROS keeps its own \
                          parameters until the account signs in; leave it out";
const TLS: &str = "is not a setting of Regain, which speaks plain HTTP; let a proxy in front speak HTTPS, write the \
                   https: address into publicUrl, and leave this out";
const KEYS: &str = "is not a setting of Regain, whose key is keys/auth.key under dataPath, where the one of ROS can be \
                    put, or keys.signingKey; leave it out";
const LOGS: &str =
    "is not a setting: set the environment variable REGAIN_LOG to error, warn, info, debug or trace";
const SYNC: &str =
    "belongs to a part of ROS that Regain does not have, the synchronisation of Realms; leave it out";
const LIFETIMES: &str = "is not a setting of Regain: only refreshTokenTtl is; leave it out";

const CODE: &str =
    "is code of your own in ROS; merge Regain into a program of yours instead, and leave it out";
const NO_ADMIN: &str = "is not a setting of Regain: make an administrator with `regain users create NAME --admin`, and leave it out";
const ENTRY: &str = "belongs to the entry of type \"password\" in authProviders";
const EMAIL: &str = "belongs to emailHandlerConfig, in the entry of type \"password\" in authProviders";

/// At the top of the configuration.
pub(super) const TOP: Advice = &[
    ("accessTokenTtl", LIFETIMES),
    ("userTokenTtl", LIFETIMES),
    ("autoKeyGen", "is not a setting of Regain, which makes its keys at the first start; leave it out"),
    (
        "disableTokenRevocation",
        "is not a setting of Regain: a session that was revoked is always refused; leave it out",
    ),
    ("jsonBodyLimit", "is not a setting of Regain: a body may have 102,400 bytes; leave it out"),
    ("privateKeyPath", KEYS),
    ("publicKeyPath", KEYS),
    ("autoKeyGenBits", KEYS),
    ("logger", LOGS),
    ("logLevel", LOGS),
    ("loglevel", LOGS),
    ("logfile", LOGS),
    ("statsSink", "is not a setting of Regain: adminAddress serves metrics for Prometheus; leave it out"),
    ("middlewares", CODE),
    ("services", CODE),
    ("defaultProviders", "is not a setting of Regain: list what there is in authProviders; leave it out"),
    ("https", TLS),
    ("httpsAddress", TLS),
    ("httpsPort", TLS),
    ("httpsKeyPath", TLS),
    ("httpsCertChainPath", TLS),
    ("httpsForInternalComponents", TLS),
    ("enableLogCompaction", SYNC),
    ("maxDownloadSize", SYNC),
    ("featureToken", SYNC),
    ("discovery", SYNC),
    ("realmsEncryptionKey", SYNC),
    ("graphQLServiceConfigOverride", SYNC),
    ("permissionServiceConfigOverride", SYNC),
    ("emailHandlerConfig", ENTRY),
    ("autoCreateAdminUser", NO_ADMIN),
    ("saltLength", OWN_HASHES),
    ("iterations", OWN_HASHES),
    ("keyLength", OWN_HASHES),
    ("digest", OWN_HASHES),
    ("connectionString", EMAIL),
    ("from", EMAIL),
    ("baseUrl", EMAIL),
    ("resetActionConfig", EMAIL),
    ("confirmActionConfig", EMAIL),
];

/// In an entry of `authProviders`.
pub(super) const PROVIDER: Advice = &[
    ("autoCreateAdminUser", NO_ADMIN),
    ("saltLength", OWN_HASHES),
    ("iterations", OWN_HASHES),
    ("keyLength", OWN_HASHES),
    ("digest", OWN_HASHES),
    (
        "emailHandler",
        "is code of your own in ROS; let webhook in emailHandlerConfig post the mails to a program of yours, or implement \
         EmailHandler in a Rust program that Regain is merged into, and leave it out",
    ),
];
