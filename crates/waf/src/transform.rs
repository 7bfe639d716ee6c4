//! What a rule does to a value before it asks: the transformations of SecLang, each on bytes.

mod decode;
mod digest;
mod entities;
mod path;
mod words;

/// One transformation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transform {
    Base64Decode,
    Base64DecodeExt,
    Base64Encode,
    CmdLine,
    CompressWhitespace,
    CssDecode,
    EscapeSeqDecode,
    HexDecode,
    HexEncode,
    HtmlEntityDecode,
    JsDecode,
    Length,
    Lowercase,
    Md5,
    NormalizePath,
    NormalizePathWin,
    ParityEven,
    ParityOdd,
    ParityZero,
    RemoveComments,
    RemoveCommentsChar,
    RemoveNulls,
    RemoveWhitespace,
    ReplaceComments,
    ReplaceNulls,
    Sha1,
    SqlHexDecode,
    Trim,
    TrimLeft,
    TrimRight,
    Uppercase,
    UrlDecode,
    UrlDecodeUni,
    UrlEncode,
    Utf8ToUnicode,
}

/// Every name, in small letters.
const NAMES: &[(&str, Transform)] = &[
    ("base64decode", Transform::Base64Decode),
    ("base64decodeext", Transform::Base64DecodeExt),
    ("base64encode", Transform::Base64Encode),
    ("cmdline", Transform::CmdLine),
    ("compresswhitespace", Transform::CompressWhitespace),
    ("cssdecode", Transform::CssDecode),
    ("escapeseqdecode", Transform::EscapeSeqDecode),
    ("hexdecode", Transform::HexDecode),
    ("hexencode", Transform::HexEncode),
    ("htmlentitydecode", Transform::HtmlEntityDecode),
    ("jsdecode", Transform::JsDecode),
    ("length", Transform::Length),
    ("lowercase", Transform::Lowercase),
    ("md5", Transform::Md5),
    ("normalisepath", Transform::NormalizePath),
    ("normalizepath", Transform::NormalizePath),
    ("normalisepathwin", Transform::NormalizePathWin),
    ("normalizepathwin", Transform::NormalizePathWin),
    ("parityeven7bit", Transform::ParityEven),
    ("parityodd7bit", Transform::ParityOdd),
    ("parityzero7bit", Transform::ParityZero),
    ("removecomments", Transform::RemoveComments),
    ("removecommentschar", Transform::RemoveCommentsChar),
    ("removenulls", Transform::RemoveNulls),
    ("removewhitespace", Transform::RemoveWhitespace),
    ("replacecomments", Transform::ReplaceComments),
    ("replacenulls", Transform::ReplaceNulls),
    ("sha1", Transform::Sha1),
    ("sqlhexdecode", Transform::SqlHexDecode),
    ("trim", Transform::Trim),
    ("trimleft", Transform::TrimLeft),
    ("trimright", Transform::TrimRight),
    ("uppercase", Transform::Uppercase),
    ("urldecode", Transform::UrlDecode),
    ("urldecodeuni", Transform::UrlDecodeUni),
    ("urlencode", Transform::UrlEncode),
    ("utf8tounicode", Transform::Utf8ToUnicode),
];

impl Transform {
    /// The transformation of that name, in any case.
    pub fn named(name: &str) -> Option<Transform> {
        let small = name.to_ascii_lowercase();
        NAMES.iter().find(|(known, _)| *known == small).map(|(_, transform)| *transform)
    }

    /// What it makes of a value.
    pub fn apply(self, value: &[u8]) -> Vec<u8> {
        match self {
            Transform::Base64Decode => decode::base64(value, false),
            Transform::Base64DecodeExt => decode::base64(value, true),
            Transform::Base64Encode => decode::base64_encode(value),
            Transform::CssDecode => decode::css(value),
            Transform::EscapeSeqDecode => decode::escape_sequences(value),
            Transform::HexDecode => decode::hex(value),
            Transform::HexEncode => decode::hex_encode(value),
            Transform::HtmlEntityDecode => entities::decode(value),
            Transform::JsDecode => decode::javascript(value),
            Transform::SqlHexDecode => decode::sql_hex(value),
            Transform::UrlDecode => decode::url(value),
            Transform::UrlDecodeUni => decode::url_unicode(value),
            Transform::UrlEncode => decode::url_encode(value),
            Transform::Utf8ToUnicode => decode::utf8_to_unicode(value),
            Transform::Md5 => digest::md5(value),
            Transform::Sha1 => digest::sha1(value),
            Transform::NormalizePath => path::normalize(value, false),
            Transform::NormalizePathWin => path::normalize(value, true),
            _ => self.apply_to_words(value),
        }
    }

    fn apply_to_words(self, value: &[u8]) -> Vec<u8> {
        match self {
            Transform::CmdLine => words::command_line(value),
            Transform::CompressWhitespace => words::compress_blanks(value),
            Transform::Length => value.len().to_string().into_bytes(),
            Transform::Lowercase => value.to_ascii_lowercase(),
            Transform::Uppercase => value.to_ascii_uppercase(),
            Transform::ParityEven => words::parity(value, 0),
            Transform::ParityOdd => words::parity(value, 1),
            Transform::ParityZero => value.iter().map(|byte| byte & 0x7f).collect(),
            Transform::RemoveComments => words::remove_comments(value),
            Transform::RemoveCommentsChar => words::remove_comment_marks(value),
            Transform::RemoveNulls => value.iter().copied().filter(|byte| *byte != 0).collect(),
            Transform::RemoveWhitespace => words::remove_blanks(value),
            Transform::ReplaceComments => words::replace_comments(value),
            Transform::ReplaceNulls => value.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect(),
            Transform::Trim => words::trim(value, true, true).to_vec(),
            Transform::TrimLeft => words::trim(value, true, false).to_vec(),
            Transform::TrimRight => words::trim(value, false, true).to_vec(),
            _ => value.to_vec(),
        }
    }
}

pub use decode::{base64_encode, url_checked};
pub use words::is_blank;

/// The value without blanks at its ends.
pub fn trimmed(value: &[u8]) -> &[u8] {
    words::trim(value, true, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, value: &str) -> String {
        let value = Transform::named(name).expect(name).apply(value.as_bytes());
        String::from_utf8_lossy(&value).into_owned()
    }

    #[test]
    fn each_transformation_does_what_its_name_says() {
        let cases = [
            ("urlDecodeUni", "a%20b+c%u0041%zz", "a b cA%zz"),
            ("htmlEntityDecode", "&lt;a&#62;&#x41;&amp;&nosuch;&quot", "<a>A&&nosuch;\""),
            ("jsDecode", "\\x41\\u0042\\101\\n\\q", "ABA\nq"),
            ("cssDecode", "\\41 b\\\nc\\(", "Abc("),
            ("base64Decode", "aGVsbG8=", "hello"),
            ("hexEncode", "AZ", "415a"),
            ("hexDecode", "415A", "AZ"),
            ("cmdLine", "C^a\"t  , /etc", "cat/etc"),
            ("compressWhitespace", "a \t\n b", "a b"),
            ("removeWhitespace", "a \t b", "ab"),
            ("replaceComments", "a/*x*/b/*y", "a b "),
            ("removeCommentsChar", "a/*b*/c--d#e", "abcde"),
            ("normalizePath", "/a/./b/../c//d", "/a/c/d"),
            ("normalizePathWin", "a\\b\\..\\c", "a/c"),
            ("normalizePath", "../../x", "../../x"),
            ("length", "four", "4"),
            ("utf8toUnicode", "aé", "a%u00e9"),
            ("escapeSeqDecode", "\\x41\\101\\n", "AA\n"),
            ("sqlHexDecode", "0x414243x", "ABCx"),
            ("trim", " a ", "a"),
        ];
        for (name, value, want) in cases {
            assert_eq!(made(name, value), want, "{name} of {value:?}");
        }
        let digest = Transform::Md5.apply(b"abc");
        assert_eq!(Transform::HexEncode.apply(&digest), b"900150983cd24fb0d6963f7d28e17f72");
        let digest = Transform::Sha1.apply(b"abc");
        assert_eq!(Transform::HexEncode.apply(&digest), b"a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_upset_a_transformation(value in proptest::collection::vec(proptest::num::u8::ANY, 0..80)) {
            for (_, transform) in NAMES {
                let made = transform.apply(&value);
                assert!(made.len() <= value.len() * 8 + 80);
            }
        }
    }
}
