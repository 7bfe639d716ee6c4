//! The names of versions, cipher suites, groups and alerts, and which of them are weak (IANA TLS registries).

/// One cipher suite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suite {
    pub code: u16,
    pub name: &'static str,
    /// Why nobody should use it any more; empty when it is sound.
    pub weakness: &'static str,
    /// Offered by OpenSSL 3 or a browser of today by default.
    pub common: bool,
}

const fn good(code: u16, name: &'static str) -> Suite {
    Suite { code, name, weakness: "", common: true }
}

const fn rare(code: u16, name: &'static str) -> Suite {
    Suite { code, name, weakness: "", common: false }
}

const fn weak(code: u16, name: &'static str, weakness: &'static str) -> Suite {
    Suite { code, name, weakness, common: false }
}

/// The suites of TLS 1.3.
pub const SUITES_13: [Suite; 5] = [
    good(0x1301, "TLS_AES_128_GCM_SHA256"),
    good(0x1302, "TLS_AES_256_GCM_SHA384"),
    good(0x1303, "TLS_CHACHA20_POLY1305_SHA256"),
    rare(0x1304, "TLS_AES_128_CCM_SHA256"),
    rare(0x1305, "TLS_AES_128_CCM_8_SHA256"),
];

/// The suites of SSL 3 to TLS 1.2 that are asked for, strong first.
pub const SUITES_12: [Suite; 60] = [
    good(0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256"),
    good(0xc02f, "ECDHE-RSA-AES128-GCM-SHA256"),
    good(0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384"),
    good(0xc030, "ECDHE-RSA-AES256-GCM-SHA384"),
    good(0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305"),
    good(0xcca8, "ECDHE-RSA-CHACHA20-POLY1305"),
    good(0x009e, "DHE-RSA-AES128-GCM-SHA256"),
    good(0x009f, "DHE-RSA-AES256-GCM-SHA384"),
    good(0xccaa, "DHE-RSA-CHACHA20-POLY1305"),
    good(0xc023, "ECDHE-ECDSA-AES128-SHA256"),
    good(0xc027, "ECDHE-RSA-AES128-SHA256"),
    good(0xc024, "ECDHE-ECDSA-AES256-SHA384"),
    good(0xc028, "ECDHE-RSA-AES256-SHA384"),
    good(0xc009, "ECDHE-ECDSA-AES128-SHA"),
    good(0xc013, "ECDHE-RSA-AES128-SHA"),
    good(0xc00a, "ECDHE-ECDSA-AES256-SHA"),
    good(0xc014, "ECDHE-RSA-AES256-SHA"),
    good(0x0067, "DHE-RSA-AES128-SHA256"),
    good(0x006b, "DHE-RSA-AES256-SHA256"),
    good(0x0033, "DHE-RSA-AES128-SHA"),
    good(0x0039, "DHE-RSA-AES256-SHA"),
    good(0x009c, "AES128-GCM-SHA256"),
    good(0x009d, "AES256-GCM-SHA384"),
    good(0x003c, "AES128-SHA256"),
    good(0x003d, "AES256-SHA256"),
    good(0x002f, "AES128-SHA"),
    good(0x0035, "AES256-SHA"),
    rare(0xc0ac, "ECDHE-ECDSA-AES128-CCM"),
    rare(0xc0ad, "ECDHE-ECDSA-AES256-CCM"),
    rare(0xc09e, "DHE-RSA-AES128-CCM"),
    rare(0xc09c, "AES128-CCM"),
    rare(0xc077, "ECDHE-RSA-CAMELLIA256-SHA384"),
    rare(0xc076, "ECDHE-RSA-CAMELLIA128-SHA256"),
    rare(0x00c4, "DHE-RSA-CAMELLIA256-SHA256"),
    rare(0x0088, "DHE-RSA-CAMELLIA256-SHA"),
    rare(0x0045, "DHE-RSA-CAMELLIA128-SHA"),
    rare(0x0084, "CAMELLIA256-SHA"),
    rare(0x0041, "CAMELLIA128-SHA"),
    rare(0xc061, "ECDHE-ARIA256-GCM-SHA384"),
    rare(0xc060, "ECDHE-ARIA128-GCM-SHA256"),
    rare(0xc051, "ARIA256-GCM-SHA384"),
    rare(0x0096, "SEED-SHA"),
    rare(0x0007, "IDEA-CBC-SHA"),
    weak(0xc012, "ECDHE-RSA-DES-CBC3-SHA", "3DES"),
    weak(0xc008, "ECDHE-ECDSA-DES-CBC3-SHA", "3DES"),
    weak(0x0016, "DHE-RSA-DES-CBC3-SHA", "3DES"),
    weak(0x000a, "DES-CBC3-SHA", "3DES"),
    weak(0xc011, "ECDHE-RSA-RC4-SHA", "RC4"),
    weak(0xc007, "ECDHE-ECDSA-RC4-SHA", "RC4"),
    weak(0x0005, "RC4-SHA", "RC4"),
    weak(0x0004, "RC4-MD5", "RC4"),
    weak(0x0009, "DES-CBC-SHA", "DES"),
    weak(0x0003, "EXP-RC4-MD5", "export"),
    weak(0x0008, "EXP-DES-CBC-SHA", "export"),
    weak(0xc010, "ECDHE-RSA-NULL-SHA", "no encryption"),
    weak(0xc006, "ECDHE-ECDSA-NULL-SHA", "no encryption"),
    weak(0x003b, "NULL-SHA256", "no encryption"),
    weak(0x0002, "NULL-SHA", "no encryption"),
    weak(0x00a6, "ADH-AES128-GCM-SHA256", "anonymous"),
    weak(0xc018, "AECDH-AES128-SHA", "anonymous"),
];

/// One key-exchange group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    pub code: u16,
    pub name: &'static str,
    /// Offered by OpenSSL 3 or a browser of today by default.
    pub common: bool,
}

const fn group(code: u16, name: &'static str, common: bool) -> Group {
    Group { code, name, common }
}

/// X25519MLKEM768, the hybrid today's browsers send first.
pub const X25519MLKEM768: u16 = 0x11ec;
/// X25519.
pub const X25519: u16 = 0x001d;
/// NIST P-256.
pub const SECP256R1: u16 = 0x0017;

/// The groups that are asked for.
pub const GROUPS: [Group; 17] = [
    group(X25519MLKEM768, "X25519MLKEM768", true),
    group(X25519, "X25519", true),
    group(SECP256R1, "P-256", true),
    group(0x0018, "P-384", true),
    group(0x0019, "P-521", true),
    group(0x001e, "X448", true),
    group(0x0100, "ffdhe2048", true),
    group(0x0101, "ffdhe3072", true),
    group(0x0102, "ffdhe4096", true),
    group(0x001a, "brainpoolP256r1", false),
    group(0x001b, "brainpoolP384r1", false),
    group(0x001c, "brainpoolP512r1", false),
    group(0x0016, "secp256k1", false),
    group(0x0015, "secp224r1", false),
    group(0x0013, "secp192r1", false),
    group(0x000e, "sect571r1", false),
    group(0x0009, "sect283k1", false),
];

/// The name of a suite, or its number.
pub fn suite_name(code: u16) -> String {
    let known = SUITES_13.iter().chain(&SUITES_12).find(|suite| suite.code == code);
    known.map_or_else(|| format!("0x{code:04x}"), |suite| suite.name.to_owned())
}

/// The suite of a number, when it is in the tables.
pub fn suite(code: u16) -> Option<&'static Suite> {
    SUITES_13.iter().chain(&SUITES_12).find(|suite| suite.code == code)
}

/// The name of a group, or its number.
pub fn group_name(code: u16) -> String {
    let known = GROUPS.iter().find(|group| group.code == code);
    known.map_or_else(|| format!("0x{code:04x}"), |group| group.name.to_owned())
}

/// The name of a protocol version, or its number.
pub fn version_name(code: u16) -> String {
    match code {
        0x0300 => "SSL 3".to_owned(),
        0x0301 => "TLS 1.0".to_owned(),
        0x0302 => "TLS 1.1".to_owned(),
        0x0303 => "TLS 1.2".to_owned(),
        0x0304 => "TLS 1.3".to_owned(),
        _ => format!("0x{code:04x}"),
    }
}

/// The name of an alert (RFC 8446 section 6, RFC 5246 section 7.2), or its number.
pub fn alert_name(code: u8) -> String {
    let name = match code {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        22 => "record_overflow",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        _ => return format!("alert {code}"),
    };
    name.to_owned()
}

/// The value of the fact `tls.alert` an alert stands for.
pub fn alert_value(code: u8) -> &'static str {
    match code {
        40 | 71 => "handshake_failure",
        70 => "protocol_version",
        112 => "unrecognized_name",
        80 => "internal_error",
        49 => "access_denied",
        116 => "certificate_required",
        42..=46 => "bad_certificate",
        48 => "unknown_ca",
        120 => "no_application_protocol",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique() {
        let mut codes: Vec<u16> = SUITES_13.iter().chain(&SUITES_12).map(|s| s.code).collect();
        codes.sort_unstable();
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
