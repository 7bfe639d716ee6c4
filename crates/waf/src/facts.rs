//! What rules can look at of a request: SecLang's variables and collections.

mod scalar;

pub use scalar::path;

use crate::body::{Pair, form, json, multipart, xml};
use crate::place::both;
use crate::request::Request;
use crate::rule::{Selector, Target};
use netwhy_model::Text;

/// One value that a target found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `ARGS`.
    pub collection: String,
    /// The member's name; none for a variable that is no collection.
    pub key: Option<Vec<u8>>,
    pub value: Vec<u8>,
}

impl Found {
    /// `ARGS:q`, as logs name it.
    pub fn name(&self) -> String {
        match &self.key {
            Some(key) => format!("{}:{}", self.collection, String::from_utf8_lossy(key)),
            None => self.collection.clone(),
        }
    }
}

/// How a body is taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Processor {
    #[default]
    None,
    Form,
    Multipart,
    Json,
    Xml,
    /// One that ModSecurity does not have.
    Other(String),
}

impl Processor {
    pub fn named(name: &str) -> Processor {
        match name {
            "URLENCODED" => Processor::Form,
            "MULTIPART" => Processor::Multipart,
            "JSON" => Processor::Json,
            "XML" => Processor::Xml,
            other => Processor::Other(other.to_owned()),
        }
    }

    pub fn name(&self) -> &str {
        match self {
            Processor::None => "",
            Processor::Form => "URLENCODED",
            Processor::Multipart => "MULTIPART",
            Processor::Json => "JSON",
            Processor::Xml => "XML",
            Processor::Other(name) => name,
        }
    }
}

/// Where the engines differ from what they document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// `REQUEST_BODY` is the body of a form, or one that is forced: ModSecurity 2, and every manual.
    #[default]
    Documented,
    /// `REQUEST_BODY` is any body, `REQUEST_URI` is decoded.
    ModSecurity3,
}

/// A request taken apart.
#[derive(Debug)]
pub struct Facts<'a> {
    pub request: &'a Request,
    pub processor: Processor,
    /// Show the body even where no form was read.
    pub force_body: bool,
    pub dialect: Dialect,
    separator: u8,
    get: Vec<Pair>,
    post: Vec<Pair>,
    /// What JSON gives are arguments, but not of the POST kind.
    json: Vec<Pair>,
    cookies: Vec<Pair>,
    multipart: multipart::Multipart,
    xml: xml::Document,
    url_fault: bool,
    body_fault: Option<String>,
    body_shown: bool,
    body_too_long: bool,
}

impl<'a> Facts<'a> {
    /// What is known before the body is read.
    pub fn of_head(request: &'a Request, separator: u8) -> Facts<'a> {
        let query = request.query().unwrap_or_default();
        let (get, valid) = form::arguments(query, separator);
        let sent = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        let kind = request.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let processor = if kind.starts_with(b"multipart/form-data") {
            Processor::Multipart
        } else if kind.starts_with(b"application/x-www-form-urlencoded") {
            Processor::Form
        } else {
            Processor::None
        };
        Facts {
            request,
            processor,
            force_body: false,
            dialect: Dialect::Documented,
            separator,
            get,
            post: Vec::new(),
            json: Vec::new(),
            cookies: sent.flat_map(|(_, value)| form::cookies(value)).collect(),
            multipart: multipart::Multipart::default(),
            xml: xml::Document::default(),
            url_fault: !valid,
            body_fault: None,
            body_shown: false,
            body_too_long: false,
        }
    }

    /// Takes the body apart.
    pub fn read_body(&mut self, bytes_max: Option<u64>) {
        let body = &self.request.body;
        self.body_too_long = bytes_max.is_some_and(|most| body.len() as u64 > most);
        let plain = matches!(self.processor, Processor::None | Processor::Other(_));
        let shown = match self.dialect {
            Dialect::Documented => self.processor == Processor::Form || (self.force_body && plain),
            Dialect::ModSecurity3 => true,
        };
        self.body_shown = shown && !body.is_empty();
        match &self.processor {
            Processor::None => {}
            Processor::Form => {
                let (pairs, valid) = form::arguments(body, self.separator);
                self.post = pairs;
                self.url_fault |= !valid;
            }
            Processor::Multipart => {
                let kind = self.request.header("content-type").unwrap_or_default();
                self.multipart = multipart::parts(kind, body);
                self.post.clone_from(&self.multipart.fields);
                self.body_fault =
                    self.multipart.fault.map(|fault| format!("Multipart parsing error: {fault}"));
            }
            Processor::Json => {
                let (pairs, fault) = json::arguments(body);
                self.json = pairs;
                let fault = fault.filter(|_| !body.is_empty());
                self.body_fault = fault.map(|fault| format!("JSON parsing error: {fault}"));
            }
            Processor::Xml => {
                let (document, fault) = xml::document(body);
                self.xml = document;
                self.body_fault = fault.map(|fault| format!("XML parsing error: {fault}"));
            }
            Processor::Other(name) => {
                self.body_fault = Some(format!("Unknown request body processor: {name}"))
            }
        }
    }

    /// Whether the engines would differ about this body.
    pub fn is_hidden(&self) -> bool {
        !self.body_shown && !self.request.body.is_empty() && self.dialect == Dialect::Documented
    }

    /// The body is longer than the firewall takes.
    pub fn body_too_long(&self) -> bool {
        self.body_too_long
    }

    /// Everything that a target means, without its exclusions; or why that is not known.
    pub fn find(&self, target: &Target) -> Result<Vec<Found>, Text> {
        if let Some(pairs) = self.pairs(&target.collection) {
            let found = pairs.into_iter().filter(|(key, _)| target.selector.takes(key));
            let named = |(key, value): (&[u8], &[u8])| Found {
                collection: target.collection.clone(),
                key: Some(key.to_vec()),
                value: value.to_vec(),
            };
            return Ok(found.map(named).collect());
        }
        if target.collection == "XML" {
            return self.in_document(&target.selector);
        }
        let value = self.scalar(&target.collection)?;
        let found = value.map(|value| Found { collection: target.collection.clone(), key: None, value });
        Ok(found.into_iter().collect())
    }

    /// The members of a collection.
    fn pairs(&self, collection: &str) -> Option<Vec<(&[u8], &[u8])>> {
        fn values(pairs: &[Pair]) -> Vec<(&[u8], &[u8])> {
            pairs.iter().map(|pair| (pair.0.as_slice(), pair.1.as_slice())).collect()
        }
        fn names(pairs: &[Pair]) -> Vec<(&[u8], &[u8])> {
            pairs.iter().map(|pair| (pair.0.as_slice(), pair.0.as_slice())).collect()
        }
        let headers = &self.request.headers;
        let files = &self.multipart.files;
        Some(match collection {
            "ARGS" => [values(&self.get), values(&self.post), values(&self.json)].concat(),
            "ARGS_NAMES" => [names(&self.get), names(&self.post), names(&self.json)].concat(),
            "ARGS_GET" => values(&self.get),
            "ARGS_GET_NAMES" => names(&self.get),
            "ARGS_POST" => values(&self.post),
            "ARGS_POST_NAMES" => names(&self.post),
            "REQUEST_COOKIES" => values(&self.cookies),
            "REQUEST_COOKIES_NAMES" => names(&self.cookies),
            "REQUEST_HEADERS" => {
                headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect()
            }
            "REQUEST_HEADERS_NAMES" => {
                headers.iter().map(|(name, _)| (name.as_bytes(), name.as_bytes())).collect()
            }
            "FILES" => files.iter().map(|file| (file.field.as_slice(), file.name.as_slice())).collect(),
            "FILES_NAMES" => {
                files.iter().map(|file| (file.field.as_slice(), file.field.as_slice())).collect()
            }
            "FILES_TMP_CONTENT" => {
                files.iter().map(|file| (file.field.as_slice(), file.content.as_slice())).collect()
            }
            "MULTIPART_PART_HEADERS" => values(&self.multipart.headers),
            _ => return None,
        })
    }

    fn in_document(&self, selector: &Selector) -> Result<Vec<Found>, Text> {
        let found = |value: &Vec<u8>, path: &str| Found {
            collection: "XML".to_owned(),
            key: Some(path.into()),
            value: value.clone(),
        };
        match selector {
            _ if self.processor != Processor::Xml => Ok(Vec::new()),
            Selector::Name(path) if matches!(path.as_str(), "/*" | "/*/text()" | "//*" | "/") => {
                Ok(vec![found(&self.xml.text, path)])
            }
            Selector::Name(path) if path == "//@*" => {
                Ok(self.xml.attributes.iter().map(|value| found(value, path)).collect())
            }
            Selector::All => Ok(vec![found(&self.xml.text, "/*")]),
            Selector::Name(path) => Err(both(
                format!("the path {path} into XML is not modelled"),
                format!("尚未模拟 XML 路径 {path}"),
            )),
            Selector::Pattern(_) => Ok(Vec::new()),
        }
    }
}
