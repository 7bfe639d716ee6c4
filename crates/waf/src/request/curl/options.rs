//! The options of curl: which take a value, and their letters. From its manual, version 8.

/// One option.
#[derive(Debug, Clone, Copy)]
pub(super) struct Opt {
    pub name: &'static str,
    /// A value follows it.
    pub takes: bool,
}

/// Options that matter for the request and take no value.
const SWITCHES: [&str; 11] = [
    "get",
    "head",
    "compressed",
    "http1.0",
    "http1.1",
    "http2",
    "http2-prior-knowledge",
    "http3",
    "http3-only",
    "path-as-is",
    "tr-encoding",
];

/// Every option that a value follows; those that do not bear on the request are passed over with it.
const WITH_VALUE: &str = "\
abstract-unix-socket alt-svc aws-sigv4 cacert capath cert cert-type ciphers config connect-timeout connect-to \
continue-at cookie cookie-jar create-file-mode crlfile curves data data-ascii data-binary data-raw data-urlencode \
delegation dns-interface dns-ipv4-addr dns-ipv6-addr dns-servers doh-url dump-ca-embed dump-header ech egd-file engine \
etag-compare etag-save expect100-timeout form form-string ftp-account ftp-alternative-to-user ftp-method ftp-port \
ftp-ssl-ccc-mode happy-eyeballs-timeout-ms haproxy-clientip header help hostpubmd5 hostpubsha256 hsts interface \
ip-tos ipfs-gateway json keepalive-cnt keepalive-time key key-type krb libcurl limit-rate local-port login-options \
mail-auth mail-from mail-rcpt max-filesize max-redirs max-time netrc-file noproxy oauth2-bearer output output-dir \
parallel-max pass pinnedpubkey preproxy proto proto-default proto-redir proxy proxy-cacert proxy-capath proxy-cert \
proxy-cert-type proxy-ciphers proxy-crlfile proxy-header proxy-key proxy-key-type proxy-pass proxy-pinnedpubkey \
proxy-service-name proxy-tls13-ciphers proxy-tlsauthtype proxy-tlspassword proxy-tlsuser proxy-user proxy1.0 pubkey \
quote random-file range rate referer request request-target resolve retry retry-delay retry-max-time sasl-authzid \
service-name sigalgs socks4 socks4a socks5 socks5-gssapi-service socks5-hostname speed-limit speed-time stderr \
telnet-option tftp-blksize time-cond tls-max tls13-ciphers tlsauthtype tlspassword tlsuser trace trace-ascii \
trace-config unix-socket upload-file upload-flags url url-query user user-agent variable vlan-priority write-out";

/// Letters, and the options they stand for; a letter that is not here takes no value and does nothing here.
const LETTERS: [(char, &str); 30] = [
    ('0', "http1.0"),
    ('A', "user-agent"),
    ('b', "cookie"),
    ('c', "cookie-jar"),
    ('C', "continue-at"),
    ('d', "data"),
    ('D', "dump-header"),
    ('e', "referer"),
    ('E', "cert"),
    ('F', "form"),
    ('G', "get"),
    ('h', "help"),
    ('H', "header"),
    ('I', "head"),
    ('K', "config"),
    ('m', "max-time"),
    ('o', "output"),
    ('P', "ftp-port"),
    ('Q', "quote"),
    ('r', "range"),
    ('t', "telnet-option"),
    ('T', "upload-file"),
    ('u', "user"),
    ('U', "proxy-user"),
    ('w', "write-out"),
    ('x', "proxy"),
    ('X', "request"),
    ('y', "speed-time"),
    ('Y', "speed-limit"),
    ('z', "time-cond"),
];

/// An option by its long name; `None` for a switch that does not bear on the request.
pub(super) fn option(name: &str) -> Option<Opt> {
    let switch = SWITCHES.iter().find(|known| **known == name).map(|name| Opt { name, takes: false });
    switch.or_else(|| {
        let name = WITH_VALUE.split(' ').find(|known| *known == name)?;
        Some(Opt { name, takes: true })
    })
}

/// An option by its letter.
pub(super) fn letter(letter: char) -> Option<Opt> {
    LETTERS.iter().find(|(known, _)| *known == letter).and_then(|(_, name)| option(name))
}
