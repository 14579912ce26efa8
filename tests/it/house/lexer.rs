//! Rust text to tokens, as far as the rules need it: comments and literals are gone, every token knows its line.

/// A word (identifier or keyword) or one character of punctuation; `::` is one token. Literals are the token `""`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// The tokens of `text`.
pub fn tokens(text: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: text.chars().collect(), at: 0, line: 1, found: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    lexer.found
}

/// The tokens without test code: `#[cfg(test)]` and `#[test]` items up to their end.
pub fn without_tests(all: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < all.len() {
        match test_attribute(&all[at..]) {
            Some(length) => at = item_end(all, at + length),
            None => {
                kept.push(all[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// The modules that are declared, without a body, under `#[cfg(test)]`.
pub fn test_modules(all: &[Token]) -> Vec<String> {
    let mut found = Vec::new();
    for at in 0..all.len() {
        let Some(length) = test_attribute(&all[at..]) else { continue };
        let item = all[at + length..item_end(all, at + length)].iter().map(|token| token.text.as_str());
        if let [.., "mod", name, ";"] = item.collect::<Vec<_>>()[..] {
            found.push(name.to_owned());
        }
    }
    found
}

/// How many tokens the attribute takes, if it marks test code.
fn test_attribute(rest: &[Token]) -> Option<usize> {
    let is = |at: usize, text: &str| rest.get(at).is_some_and(|token| token.text == text);
    if !is(0, "#") || !is(1, "[") {
        return None;
    }
    let end = closing(rest, 1)?;
    let words: Vec<_> = rest[2..end].iter().map(|token| token.text.as_str()).collect();
    let marks = matches!(words[..], ["test"] | ["cfg", "(", "test", ")"] | ["tokio", "::", "test", ..]);
    marks.then_some(end + 1)
}

/// Where the item that starts at `at` (perhaps with more attributes) ends: behind its `;` or its closing brace.
fn item_end(all: &[Token], mut at: usize) -> usize {
    while at < all.len() {
        match all[at].text.as_str() {
            "{" => return closing(all, at).map_or(all.len(), |end| end + 1),
            "(" | "[" => at = closing(all, at).unwrap_or(all.len()),
            ";" => return at + 1,
            _ => {}
        }
        at += 1;
    }
    all.len()
}

/// The index of the bracket that closes the one at `open`.
fn closing(all: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0;
    for (at, token) in all.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    found: Vec<Token>,
}

impl Lexer {
    fn step(&mut self) {
        let first = self.chars[self.at];
        let second = self.chars.get(self.at + 1).copied().unwrap_or(' ');
        match (first, second) {
            ('/', '/') => self.skip_line(),
            ('/', '*') => self.skip_block_comment(),
            ('"', _) => self.literal(1),
            ('r' | 'b' | 'c', _) if self.prefixed_string() => {}
            ('\'', _) => self.quote(),
            (':', ':') => self.push("::".into(), 2),
            _ if first.is_alphanumeric() || first == '_' => self.word(),
            _ if first.is_whitespace() => self.advance(1),
            _ => self.push(first.into(), 1),
        }
    }

    fn advance(&mut self, count: usize) {
        let end = (self.at + count).min(self.chars.len());
        self.line += self.chars[self.at..end].iter().filter(|c| **c == '\n').count();
        self.at = end;
    }

    fn push(&mut self, text: String, length: usize) {
        self.found.push(Token { text, line: self.line });
        self.advance(length);
    }

    fn skip_line(&mut self) {
        let length = self.chars[self.at..].iter().take_while(|c| **c != '\n').count();
        self.advance(length);
    }

    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.chars.len() {
            match self.chars[self.at..] {
                ['/', '*', ..] => depth += 1,
                ['*', '/', ..] => depth -= 1,
                _ => {
                    self.advance(1);
                    continue;
                }
            }
            self.advance(2);
            if depth == 0 {
                return;
            }
        }
    }

    /// `r"..."`, `r#"..."#`, `b"..."`, `br"..."`, `c"..."`; gives false for a plain word.
    fn prefixed_string(&mut self) -> bool {
        let rest = &self.chars[self.at..];
        let letters = rest.iter().take(2).take_while(|c| matches!(c, 'r' | 'b' | 'c')).count();
        let raw = rest[..letters].contains(&'r');
        let hashes = if raw { rest[letters..].iter().take_while(|c| **c == '#').count() } else { 0 };
        if rest.get(letters + hashes) != Some(&'"') {
            return false;
        }
        if raw {
            self.raw_literal(hashes, letters + hashes + 1)
        } else {
            self.literal(letters + 1)
        }
        true
    }

    fn raw_literal(&mut self, hashes: usize, opening: usize) {
        self.push("\"\"".into(), opening);
        while self.at < self.chars.len() {
            let rest = &self.chars[self.at..];
            let closes = rest[0] == '"' && rest[1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
            self.advance(if closes { 1 + hashes } else { 1 });
            if closes {
                return;
            }
        }
    }

    fn literal(&mut self, opening: usize) {
        self.push("\"\"".into(), opening);
        while self.at < self.chars.len() {
            match self.chars[self.at] {
                '\\' => self.advance(2),
                '"' => return self.advance(1),
                _ => self.advance(1),
            }
        }
    }

    /// A character literal or a lifetime.
    fn quote(&mut self) {
        match self.chars[self.at..] {
            ['\'', '\\', ..] => {
                let length = self.chars[self.at + 3..].iter().take_while(|c| **c != '\'').count();
                self.push("\"\"".into(), 3 + length + 1);
            }
            ['\'', _, '\'', ..] => self.push("\"\"".into(), 3),
            _ => self.advance(1), // A lifetime: its name follows as a word, which no rule looks for.
        }
    }

    fn word(&mut self) {
        let rest = &self.chars[self.at..];
        let length = rest.iter().take_while(|c| c.is_alphanumeric() || **c == '_').count();
        let text = rest[..length].iter().collect();
        self.push(text, length);
    }
}

#[test]
fn comments_and_literals_are_gone() {
    let text = "a /* x /* y */ */ b // c\n\"d \\\" e\" r#\"f \" g\"# 'h' '\\'' '\\u{41}' b\"i\" 'life crate::x";
    let words: Vec<_> = tokens(text).into_iter().map(|token| token.text).collect();
    assert_eq!(words, ["a", "b", "\"\"", "\"\"", "\"\"", "\"\"", "\"\"", "\"\"", "life", "crate", "::", "x"]);
    assert_eq!(tokens("a\n\"\n\"\nb")[2].line, 4);
}

#[test]
fn test_code_is_cut_out() {
    let text = "fn a() {} #[cfg(test)] mod t { fn x() { y } } fn b() {} #[cfg(test)] use c; #[test] #[should_panic] \
                fn d([u8; 2]) {} #[tokio::test(start_paused)] async fn e() {} struct F;";
    let words: Vec<_> = without_tests(&tokens(text)).into_iter().map(|token| token.text).collect();
    assert_eq!(words.join(" "), "fn a ( ) { } fn b ( ) { } struct F ;");
}
