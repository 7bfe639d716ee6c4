//! The words of command lines: as bash takes them, and as the prompt of Windows does.

/// How many words all commands of a text may have.
const WORD_COUNT_MAX: usize = 1_000_000;
/// What separates one command from the next where it is not quoted.
const SEPARATORS: [char; 4] = ['\n', ';', '|', '&'];

/// One command: the line it begins on, counted from 1, and its words without their quotes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    pub line: u32,
    pub words: Vec<String>,
}

/// Every command of a text.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let unescaped = is_windows(text).then(|| carets(text));
    let mut reader =
        Reader { rest: unescaped.as_deref().unwrap_or(text).chars().collect(), ..Reader::default() };
    reader.rest.reverse();
    reader.line = 1;
    while reader.word_count < WORD_COUNT_MAX && reader.step() {}
    reader.end_command();
    reader.commands
}

/// Whether a text is for the prompt of Windows: only that escapes with carets, and knows no single quotes. Browsers
/// write a caret before every quote, or (older ones) at the end of every line that goes on.
fn is_windows(text: &str) -> bool {
    let lines = || text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let first = lines().find_map(|line| Some(line.split_at(line.find(['\'', '"'])?)));
    match first {
        Some((_, quoted)) if quoted.starts_with('\'') => false,
        Some((before, _)) if before.ends_with('^') => true,
        _ => lines().any(|line| line.ends_with('^')),
    }
}

/// What is left of a text for Windows once its carets have escaped what follows them.
fn carets(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let text = text.replace("\r\n", "\n");
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '^' {
            plain.push(c);
            continue;
        }
        match rest.next() {
            // A line goes on; an empty one after it is a line end that was meant.
            Some('\n') if rest.peek() == Some(&'\n') => plain.extend(rest.next()),
            Some('\n') => plain.push(' '),
            Some(escaped) => plain.push(escaped),
            None => {}
        }
    }
    plain
}

#[derive(Debug, Default)]
struct Reader {
    /// What is to be read, the next character last.
    rest: Vec<char>,
    line: u32,
    /// The word being read; `None` between words.
    word: Option<String>,
    command: Command,
    commands: Vec<Command>,
    word_count: usize,
    /// The command being read takes the answer of the one before.
    is_piped: bool,
}

impl Reader {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.pop()?;
        self.line = self.line.saturating_add(u32::from(next == '\n'));
        Some(next)
    }

    /// Takes what comes next; `false` at the end.
    fn step(&mut self) -> bool {
        let line = self.line;
        let Some(c) = self.next() else { return false };
        match c {
            '\n' | ';' => self.end_command(),
            '|' => {
                let either = self.rest.last() == Some(&'|');
                self.end_command();
                // What takes the answer asks for nothing.
                self.is_piped = !either;
            }
            '&' if self.word.is_none() || self.rest.last().is_none_or(|c| c.is_whitespace() || *c == '&') => {
                self.end_command()
            }
            c if c.is_whitespace() => self.end_word(),
            '#' if self.word.is_none() => {
                while self.rest.last().is_some_and(|c| *c != '\n') {
                    self.rest.pop();
                }
            }
            _ => {
                if self.command.words.is_empty() && self.word.is_none() {
                    self.command.line = line;
                }
                self.within(c);
            }
        }
        true
    }

    /// A character that belongs to a word.
    fn within(&mut self, c: char) {
        match c {
            '\\' => match self.next() {
                // A word does not begin with a line that goes on.
                Some('\n') | None => {}
                Some('\r') if self.rest.last() == Some(&'\n') => drop(self.next()),
                Some(escaped) => self.push(escaped),
            },
            '\'' => {
                self.open();
                while let Some(c) = self.next().filter(|c| *c != '\'') {
                    self.push(c);
                }
            }
            '"' => self.double(),
            '$' if self.rest.last() == Some(&'\'') => {
                self.next();
                self.ansi();
            }
            c => self.push(c),
        }
    }

    fn open(&mut self) {
        self.word.get_or_insert_default();
    }

    fn push(&mut self, c: char) {
        self.word.get_or_insert_default().push(c);
    }

    fn double(&mut self) {
        self.open();
        while let Some(c) = self.next() {
            match (c, self.rest.last()) {
                ('"', _) => return,
                ('\\', Some('\n')) => drop(self.next()),
                ('\\', Some('"' | '\\' | '$' | '`')) => {
                    if let Some(escaped) = self.next() {
                        self.push(escaped);
                    }
                }
                _ => self.push(c),
            }
        }
    }

    /// `$'…'`: with the escapes of C.
    fn ansi(&mut self) {
        self.open();
        while let Some(c) = self.next() {
            match c {
                '\'' => return,
                '\\' => {
                    let Some(escaped) = self.next() else { return };
                    let plain = match escaped {
                        'n' => Some('\n'),
                        'r' => Some('\r'),
                        't' => Some('\t'),
                        'a' => Some('\u{7}'),
                        'b' => Some('\u{8}'),
                        'e' | 'E' => Some('\u{1b}'),
                        'f' => Some('\u{c}'),
                        'v' => Some('\u{b}'),
                        'x' => self.number(16, 2),
                        'u' => self.number(16, 4),
                        'U' => self.number(16, 8),
                        digit @ '0'..='7' => {
                            self.rest.push(digit);
                            self.number(8, 3)
                        }
                        other => Some(other),
                    };
                    self.word.get_or_insert_default().extend(plain);
                }
                _ => self.push(c),
            }
        }
    }

    /// The character of at most so many digits.
    fn number(&mut self, radix: u32, digits_max: usize) -> Option<char> {
        let mut value = 0_u32;
        for _ in 0..digits_max {
            let Some(digit) = self.rest.last().and_then(|c| c.to_digit(radix)) else { break };
            value = value.saturating_mul(radix).saturating_add(digit);
            self.rest.pop();
        }
        char::from_u32(value)
    }

    fn end_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.command.words.push(word);
            self.word_count += 1;
        }
    }

    fn end_command(&mut self) {
        self.end_word();
        let command = std::mem::take(&mut self.command);
        if !command.words.is_empty() && !self.is_piped {
            self.commands.push(command);
        }
        self.is_piped = false;
        while self.rest.last().is_some_and(|c| SEPARATORS.contains(c) && *c != '\n') {
            self.rest.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<Vec<String>> {
        commands(text).into_iter().map(|command| command.words).collect()
    }

    #[test]
    fn quotes_escapes_and_lines_that_go_on_are_as_in_bash() {
        assert_eq!(words("a 'b c'\"d\\\"e\"f \\\n  g\nh"), [vec!["a", "b cd\"ef", "g"], vec!["h"]]);
        assert_eq!(words(r"a $'x\n\u0021\x41\'\0601'"), [vec!["a", "x\n!A'01"]]);
        assert_eq!(words("a '' b # no\nc | d && e"), [vec!["a", "", "b"], vec!["c"], vec!["e"]]);
        assert_eq!(words("a http://x/?b=1&c=2"), [vec!["a", "http://x/?b=1&c=2"]]);
        assert_eq!(commands("\n\na\nb")[1].line, 4);
    }

    #[test]
    fn carets_of_windows_are_taken_away() {
        let text = "curl ^\"https://x/^\" ^\r\n  -H ^\"a: ^\\^\"b^\\^\"^\" ^\r\n  --data-raw ^\"50^%^\"";
        assert_eq!(words(text), [vec!["curl", "https://x/", "-H", "a: \"b\"", "--data-raw", "50%"]]);
        let older = "curl \"https://x/\" ^\n  -H \"a: b\"";
        assert_eq!(words(older), [vec!["curl", "https://x/", "-H", "a: b"]]);
        // Of bash they are what is sent.
        for text in ["# it's ^\ncurl 'x' -d '\"^\"'", "curl x -d '\"^\"'", "curl \"x\" -d '\"^\"'"] {
            assert_eq!(words(text), [vec!["curl", "x", "-d", "\"^\""]], "{text}");
        }
    }
}
