//! The same payload in another place, to see that an exclusion lets no attack through there.

use crate::facts::Facts;
use crate::request::Request;
use crate::rule::Target;
use crate::transform::Transform;

/// The name of the parameter or cookie that a payload is moved to.
const NAME: &str = "netwhy-elsewhere";

/// The request with the payload in one more parameter or cookie, and the name of that variable.
pub fn payload(request: &Request, target: &Target) -> Option<(Request, String)> {
    let mut facts = Facts::of_head(request, b'&');
    if let Some(processor) = crate::engine::recommended(request) {
        facts.processor = processor;
    }
    facts.read_body(None);
    let value = facts.find(target).ok()?.into_iter().next()?.value;
    let mut moved = request.clone();
    match target.collection.as_str() {
        "ARGS" | "ARGS_GET" => {
            let mark = if moved.uri.contains(&b'?') { b'&' } else { b'?' };
            moved.uri.push(mark);
            moved.uri.extend(NAME.bytes());
            moved.uri.push(b'=');
            moved.uri.extend(Transform::UrlEncode.apply(&value));
        }
        "REQUEST_COOKIES" => {
            let cookie = [NAME.as_bytes(), b"=", &value].concat();
            moved.headers.push(("Cookie".to_owned(), cookie));
        }
        _ => return None,
    }
    Some((moved, format!("{}:{NAME}", target.collection)))
}

/// The request for another path; none when its target is no path.
pub fn path(request: &Request) -> Option<Request> {
    let mut moved = request.clone();
    if !moved.uri.starts_with(b"/") {
        return None;
    }
    moved.uri = [b"/", NAME.as_bytes(), &request.uri].concat();
    Some(moved)
}
