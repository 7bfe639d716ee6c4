//! The language and the character set the locale asks for.

use netwhy_model::Lang;

/// The locale of messages: the first of `LC_ALL`, `LC_MESSAGES`, `LANG` that is set.
pub fn from_environment() -> Lang {
    Lang::from_locale(&first_set(&["LC_ALL", "LC_MESSAGES", "LANG"]).unwrap_or_default())
}

/// True unless the locale names a character set that is not UTF-8, or is plain `C`.
pub fn shows_unicode() -> bool {
    let locale = first_set(&["LC_ALL", "LC_CTYPE", "LANG"]).unwrap_or_default().to_ascii_lowercase();
    // An unset locale is what containers have, whose terminals speak UTF-8 all the same.
    locale.is_empty() || locale.contains("utf-8") || locale.contains("utf8")
}

fn first_set(names: &[&str]) -> Option<String> {
    names.iter().filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty())
}
