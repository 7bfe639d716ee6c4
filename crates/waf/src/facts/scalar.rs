//! Variables that have one value.

use super::{Dialect, Facts};
use crate::place::both;
use netwhy_model::Text;

/// What only a running server knows.
const UNKNOWN: &[&str] = &[
    "DURATION",
    "ENV",
    "GEO",
    "GLOBAL",
    "IP",
    "MODSEC_BUILD",
    "PERF_ALL",
    "REMOTE_HOST",
    "REMOTE_PORT",
    "RESOURCE",
    "SCRIPT_BASENAME",
    "SCRIPT_FILENAME",
    "SCRIPT_GID",
    "SCRIPT_GROUPNAME",
    "SCRIPT_MODE",
    "SCRIPT_UID",
    "SCRIPT_USERNAME",
    "SDBM_DELETE_ERROR",
    "SERVER_ADDR",
    "SERVER_PORT",
    "SESSION",
    "SESSIONID",
    "TIME",
    "TIME_DAY",
    "TIME_EPOCH",
    "TIME_HOUR",
    "TIME_MIN",
    "TIME_MON",
    "TIME_SEC",
    "TIME_WDAY",
    "TIME_YEAR",
    "UNIQUE_ID",
    "USERAGENT_IP",
    "USER",
    "USERID",
    "WEBAPPID",
    "WEBSERVER_ERROR_LOG",
];

/// What only exists once there is an answer.
const LATER: &[&str] = &[
    "RESPONSE_BODY",
    "RESPONSE_CONTENT_LENGTH",
    "RESPONSE_CONTENT_TYPE",
    "RESPONSE_HEADERS",
    "RESPONSE_HEADERS_NAMES",
    "RESPONSE_PROTOCOL",
    "RESPONSE_STATUS",
    "STATUS",
    "STATUS_LINE",
    "OUTBOUND_DATA_ERROR",
    "FILES_TMPNAMES",
    "RES_BODY_ERROR",
    "RES_BODY_PROCESSOR",
];

impl Facts<'_> {
    /// The value; none when the request has none, and an error when it cannot be known.
    pub(super) fn scalar(&self, name: &str) -> Result<Option<Vec<u8>>, Text> {
        if let Some(value) = self.of_line(name).or_else(|| self.of_body(name)).or_else(|| self.of_parts(name))
        {
            return Ok(value);
        }
        match name {
            "REMOTE_ADDR" => match self.request.client {
                Some(client) => Ok(Some(client.to_string().into_bytes())),
                None => Err(both("the client's address is not said", "未说明客户端地址")),
            },
            _ if LATER.contains(&name) => Ok(None),
            _ if UNKNOWN.contains(&name) => Err(both(
                format!("{name} is known to the running server only"),
                format!("{name} 只有运行中的服务器才知道"),
            )),
            _ => Err(both(format!("the variable {name} is not known"), format!("不认识变量 {name}"))),
        }
    }

    fn of_line(&self, name: &str) -> Option<Option<Vec<u8>>> {
        let request = self.request;
        let query = request.query();
        Some(match name {
            "REQUEST_METHOD" => Some(request.method.clone().into_bytes()),
            "REQUEST_PROTOCOL" => Some(request.version.clone().into_bytes()),
            "REQUEST_LINE" => Some(request.line()),
            "REQUEST_URI_RAW" => Some(request.uri.clone()),
            "REQUEST_URI" => match self.dialect {
                Dialect::Documented => Some(without_host(request.target()).to_vec()),
                Dialect::ModSecurity3 => Some(decoded(without_host(request.target()))),
            },
            "QUERY_STRING" => Some(query.unwrap_or_default().to_vec()),
            "REQUEST_FILENAME" | "PATH_INFO" => Some(self::path(request)),
            "REQUEST_BASENAME" => {
                self::path(request).rsplit(|byte| matches!(byte, b'/' | b'\\')).next().map(<[u8]>::to_vec)
            }
            "SERVER_NAME" => request
                .header("host")
                .and_then(|host| Some(host.split(|byte| *byte == b':').next()?.to_vec())),
            "AUTH_TYPE" => request
                .header("authorization")
                .and_then(|value| Some(value.split(|byte| *byte == b' ').next()?.to_vec())),
            "REMOTE_USER" => None,
            "FULL_REQUEST" => Some(self.whole()),
            "FULL_REQUEST_LENGTH" => Some(number(self.whole().len())),
            _ => return None,
        })
    }

    fn whole(&self) -> Vec<u8> {
        let mut out = self.request.line();
        for (name, value) in &self.request.headers {
            out.extend([b"\n", name.as_bytes(), b": ", value].concat());
        }
        out.extend(b"\n\n");
        out.extend(&self.request.body);
        out
    }

    fn of_body(&self, name: &str) -> Option<Option<Vec<u8>>> {
        let fault = self.body_fault.clone().unwrap_or_default().into_bytes();
        let arguments = self.get.iter().chain(&self.post).chain(&self.json);
        Some(match name {
            "REQUEST_BODY" => self.body_shown.then(|| self.request.body.clone()),
            "REQUEST_BODY_LENGTH" => Some(number(self.request.body.len())),
            "REQBODY_PROCESSOR" => Some(self.processor.name().into()),
            "REQBODY_ERROR" | "REQBODY_PROCESSOR_ERROR" => Some(flag(self.body_fault.is_some())),
            "REQBODY_ERROR_MSG" | "REQBODY_PROCESSOR_ERROR_MSG" => Some(fault),
            "INBOUND_DATA_ERROR" => Some(flag(self.body_too_long)),
            "URLENCODED_ERROR" => Some(flag(self.url_fault)),
            "ARGS_COMBINED_SIZE" => {
                Some(number(arguments.map(|(name, value)| name.len() + value.len()).sum()))
            }
            "FILES_COMBINED_SIZE" => {
                Some(number(self.multipart.files.iter().map(|file| file.content.len()).sum()))
            }
            _ => return None,
        })
    }

    fn of_parts(&self, name: &str) -> Option<Option<Vec<u8>>> {
        let flags = &self.multipart.flags;
        let strict = flags.boundary_quoted
            || flags.boundary_whitespace
            || flags.data_before
            || flags.data_after
            || flags.header_folding
            || flags.lf_lines
            || flags.missing_semicolon
            || flags.invalid_quoting
            || flags.invalid_part
            || flags.invalid_header_folding
            || self.multipart.fault.is_some();
        Some(Some(match name {
            "MULTIPART_BOUNDARY_QUOTED" => flag(flags.boundary_quoted),
            "MULTIPART_BOUNDARY_WHITESPACE" => flag(flags.boundary_whitespace),
            "MULTIPART_CRLF_LF_LINES" => flag(flags.crlf_lines && flags.lf_lines),
            "MULTIPART_DATA_AFTER" => flag(flags.data_after),
            "MULTIPART_DATA_BEFORE" => flag(flags.data_before),
            "MULTIPART_FILE_LIMIT_EXCEEDED" => flag(false),
            "MULTIPART_FILENAME" => self.multipart.file_name.clone(),
            "MULTIPART_HEADER_FOLDING" => flag(flags.header_folding),
            "MULTIPART_INVALID_HEADER_FOLDING" => flag(flags.invalid_header_folding),
            "MULTIPART_INVALID_PART" => flag(flags.invalid_part),
            "MULTIPART_INVALID_QUOTING" => flag(flags.invalid_quoting),
            "MULTIPART_LF_LINE" => flag(flags.lf_lines),
            "MULTIPART_MISSING_SEMICOLON" | "MULTIPART_SEMICOLON_MISSING" => flag(flags.missing_semicolon),
            "MULTIPART_NAME" => self.multipart.name.clone(),
            "MULTIPART_STRICT_ERROR" => flag(strict),
            "MULTIPART_UNMATCHED_BOUNDARY" => number(usize::from(flags.unmatched_boundary)),
            _ => return None,
        }))
    }
}

/// `REQUEST_FILENAME`: the path, decoded.
pub fn path(request: &crate::request::Request) -> Vec<u8> {
    decoded(without_host(request.path()))
}

fn number(number: usize) -> Vec<u8> {
    number.to_string().into_bytes()
}

fn flag(set: bool) -> Vec<u8> {
    number(usize::from(set))
}

/// Path and query of a target that names the host as well.
fn without_host(uri: &[u8]) -> &[u8] {
    let text = uri;
    let Some(at) = text.windows(3).position(|window| window == b"://") else { return uri };
    if text.starts_with(b"/") || !text[..at].iter().all(u8::is_ascii_alphanumeric) {
        return uri;
    }
    let rest = &text[at + 3..];
    rest.iter().position(|byte| matches!(byte, b'/' | b'?')).map_or(&b"/"[..], |at| &rest[at..])
}

/// Only the escapes of a path: a plus stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let guarded: Vec<u8> =
        path.iter().flat_map(|byte| if *byte == b'+' { b"%2b".to_vec() } else { vec![*byte] }).collect();
    crate::transform::url_checked(&guarded).0
}
