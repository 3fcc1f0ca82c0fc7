//! RFC 35: constraints as a person types them, `flux submit --requires='a,b -host:fluke7'`, turned into RFC 31 JSON.
//!
//! Where the RFC's grammar is ambiguous this follows flux-core, operator precedence and all, because the same text
//! must ask for the same nodes: terms side by side are joined like `and`, except that a pair to the right of `or`
//! belongs to the whole alternative (`a|b c` is `(a|b)&c`), and a negation after a term takes what follows it first
//! (`not a -b` is `not (a&-b)`).

use std::fmt;

use serde_json::{Map, Value};

use crate::limits::{CONSTRAINT_DEPTH_MAX, CONSTRAINT_QUERY_LEN_MAX};

/// The words of one dialect: each tool that takes a query has its own operators.
#[derive(Clone, Copy, Debug)]
pub struct QuerySyntax {
    /// The operator of a bare word; without one, each term must name its own.
    pub default_operator: Option<&'static str>,
    /// Short names and what they stand for.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Operators whose value is a list, and what separates it.
    pub lists: &'static [(&'static str, char)],
    /// Operators whose values are joined into one when `and` stands between them.
    pub joined: &'static [&'static str],
}

/// The dialect of `--requires`.
pub const REQUIRES: QuerySyntax = QuerySyntax {
    default_operator: Some("properties"),
    aliases: &[("host", "hostlist"), ("hosts", "hostlist"), ("rank", "ranks")],
    lists: &[("properties", ',')],
    joined: &["properties"],
};

/// Why a query was refused. Positions count characters from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueryError {
    TooLong { len: usize, max: usize },
    TooDeep { max: usize },
    IllegalCharacter { character: char, position: usize },
    UnclosedQuote { quote: char, position: usize },
    UnclosedParenthesis { position: usize },
    MismatchedParenthesis { position: usize },
    InvalidToken { token: String, position: usize },
    UnexpectedEnd { query: String },
    MissingArgument { token: String },
    MissingOperator { token: String },
    InvalidOperator { character: char, operator: String },
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len, max } => write!(f, "Query of {len} bytes is over the limit of {max}"),
            Self::TooDeep { max } => write!(f, "More than {max} nested operators"),
            Self::IllegalCharacter { character, position } => {
                write!(f, "Illegal character '{}' at position {position}", character.escape_debug())
            }
            Self::UnclosedQuote { quote, position } => {
                let around = if *quote == '"' { '\'' } else { '"' };
                write!(f, "Unclosed quote {around}{quote}{around} at position {position}")
            }
            Self::UnclosedParenthesis { position } => write!(f, "Unclosed parenthesis in position {position}"),
            Self::MismatchedParenthesis { position } => {
                write!(f, "Mismatched parentheses starting at position {position}.")
            }
            Self::InvalidToken { token, position } => write!(f, "Invalid token '{token}' at position {position}"),
            Self::UnexpectedEnd { query } => write!(f, "Unexpected end of input in '{query}'"),
            Self::MissingArgument { token } => write!(f, "Missing argument to token '{token}'"),
            Self::MissingOperator { token } => write!(f, "Missing required operator in \"{token}\""),
            Self::InvalidOperator { character, operator } => {
                write!(f, "invalid character '{character}' in operator '{operator}:'")
            }
        }
    }
}

impl std::error::Error for QueryError {}

/// Turns a query into an RFC 31 object.
///
/// # Errors
/// [`QueryError`]. The operators' values are not looked at: [`super::Constraint::from_value`] does that.
pub fn parse(query: &str, syntax: &QuerySyntax) -> Result<Value, QueryError> {
    if query.len() > CONSTRAINT_QUERY_LEN_MAX {
        return Err(QueryError::TooLong { len: query.len(), max: CONSTRAINT_QUERY_LEN_MAX });
    }
    Parser { lexer: Lexer::new(query), syntax, stack: Vec::new() }.run(query)
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Not,
    And,
    Or,
    Negate,
    Open,
    Close,
    Term(String),
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    /// A term that ended in a colon: the next one, quoted or not, is its value.
    pending: Option<String>,
    open_level: i64,
    last_open: usize,
    last_close: usize,
}

impl Lexer {
    fn new(query: &str) -> Lexer {
        Lexer { chars: query.chars().collect(), at: 0, pending: None, open_level: 0, last_open: 0, last_close: 0 }
    }

    /// The next token and where it starts; `None` at the end.
    fn next(&mut self) -> Result<Option<(Token, usize)>, QueryError> {
        loop {
            while self.chars.get(self.at).is_some_and(|c| " \t\r\n\u{c}\u{b}".contains(*c)) {
                self.at += 1;
            }
            let start = self.at;
            let Some(&first) = self.chars.get(start) else {
                return self.pending.take().map_or(Ok(None), |token| Err(QueryError::MissingArgument { token }));
            };
            if let Some(token) = self.operator(first) {
                return Ok(Some((token, start)));
            }
            let text = match first {
                '\'' | '"' => self.quoted(first)?,
                c if c.is_whitespace() => {
                    return Err(QueryError::IllegalCharacter { character: c, position: start });
                }
                _ => self.take_while(|c| !"()|&\"'".contains(c) && !c.is_whitespace()),
            };
            if text.is_empty() {
                continue; // '' is nothing at all, as in flux-core
            }
            if let Some(operator) = self.pending.take() {
                return Ok(Some((Token::Term(operator + &text), start)));
            }
            if text.ends_with(':') {
                self.pending = Some(text);
                continue;
            }
            return Ok(Some((Token::Term(text), start)));
        }
    }

    fn operator(&mut self, first: char) -> Option<Token> {
        let start = self.at;
        let (len, token) = match first {
            '-' => (1, Token::Negate),
            '(' => (1, Token::Open),
            ')' => (1, Token::Close),
            '&' => (1 + usize::from(self.chars.get(start + 1) == Some(&'&')), Token::And),
            '|' => (1 + usize::from(self.chars.get(start + 1) == Some(&'|')), Token::Or),
            _ if self.word("not") => (3, Token::Not),
            _ if self.word("and") => (3, Token::And),
            _ if self.word("or") => (2, Token::Or),
            _ => return None,
        };
        match token {
            Token::Open => (self.open_level, self.last_open) = (self.open_level + 1, start),
            Token::Close => (self.open_level, self.last_close) = (self.open_level - 1, start),
            _ => {}
        }
        self.at += len;
        Some(token)
    }

    fn word(&self, word: &str) -> bool {
        let rest = &self.chars[self.at..];
        let len = word.len();
        rest.len() >= len
            && word.chars().eq(rest[..len].iter().copied())
            && !rest.get(len).is_some_and(|c| c.is_alphanumeric() || *c == '_')
    }

    fn quoted(&mut self, quote: char) -> Result<String, QueryError> {
        self.at += 1;
        let start = self.at;
        let text = self.take_while(|c| c != quote);
        if self.at >= self.chars.len() {
            return Err(QueryError::UnclosedQuote { quote, position: start });
        }
        self.at += 1;
        Ok(text)
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> String {
        let text: String = self.chars[self.at..].iter().copied().take_while(|c| keep(*c)).collect();
        self.at += text.chars().count();
        text
    }
}

enum Symbol {
    /// An expression, and how deep its object nests.
    Expr(Value, usize),
    And,
    Or,
    Not,
    Open,
}

/// A shift-reduce parser: no recursion, so the text cannot choose our stack depth.
struct Parser<'a> {
    lexer: Lexer,
    syntax: &'a QuerySyntax,
    stack: Vec<Symbol>,
}

impl Parser<'_> {
    fn run(mut self, query: &str) -> Result<Value, QueryError> {
        while let Some((token, position)) = self.lexer.next()? {
            if matches!(self.stack.last(), Some(Symbol::Expr(..))) {
                self.reduce(binding(&token), token == Token::Not)?;
            }
            self.shift(token, position)?;
        }
        if !matches!(self.stack.last(), Some(Symbol::Expr(..))) {
            return Err(self.at_end(query));
        }
        self.reduce(0, false)?;
        match (self.stack.pop(), self.stack.pop()) {
            (Some(Symbol::Expr(value, _)), None) => Ok(value),
            _ => Err(self.at_end(query)),
        }
    }

    fn at_end(&self, query: &str) -> QueryError {
        match self.lexer.open_level {
            1.. => QueryError::UnclosedParenthesis { position: self.lexer.last_open },
            _ => QueryError::UnexpectedEnd { query: query.to_owned() },
        }
    }

    /// The token just read cannot stand where it stands.
    fn invalid(&self, token: &Token, position: usize) -> QueryError {
        if self.lexer.open_level < 0 {
            return QueryError::MismatchedParenthesis { position: self.lexer.last_close };
        }
        let token = match token {
            Token::Term(text) => text.clone(),
            _ => self.lexer.chars[position..self.lexer.at].iter().collect(),
        };
        QueryError::InvalidToken { token, position }
    }

    fn shift(&mut self, token: Token, position: usize) -> Result<(), QueryError> {
        let after_expr = matches!(self.stack.last(), Some(Symbol::Expr(..)));
        let symbol = match token {
            Token::Term(text) => Symbol::Expr(self.term(&text)?, 1),
            Token::Negate => match self.lexer.next()? {
                Some((Token::Term(text), _)) => Symbol::Expr(object("not", vec![self.term(&text)?]), 2),
                Some((other, position)) => return Err(self.invalid(&other, position)),
                None => return Err(self.at_end("-")),
            },
            Token::Not => Symbol::Not,
            Token::Open => Symbol::Open,
            Token::And if after_expr => Symbol::And,
            Token::Or if after_expr => Symbol::Or,
            Token::Close if after_expr => return self.close(position),
            other => return Err(self.invalid(&other, position)),
        };
        self.stack.push(symbol);
        Ok(())
    }

    fn close(&mut self, position: usize) -> Result<(), QueryError> {
        let expr = self.stack.pop();
        match self.stack.pop() {
            Some(Symbol::Open) => {
                self.stack.extend(expr);
                Ok(())
            }
            _ => Err(self.invalid(&Token::Close, position)),
        }
    }

    /// Folds what ends at the top of the stack while it binds tighter than the next token (`next`), or as tight
    /// and is not `right` associative.
    fn reduce(&mut self, next: u8, right: bool) -> Result<(), QueryError> {
        loop {
            let below = self.stack.len().checked_sub(2).and_then(|n| self.stack.get(n));
            let level = match below {
                Some(Symbol::Expr(..) | Symbol::And) => 2,
                Some(Symbol::Or) => 1,
                Some(Symbol::Not) => 3,
                Some(Symbol::Open) | None => return Ok(()),
            };
            if next > level || (next == level && right) {
                return Ok(());
            }
            let Some(Symbol::Expr(last, last_depth)) = self.stack.pop() else { return Ok(()) };
            let operator = match self.stack.pop() {
                Some(Symbol::Not) => {
                    self.push(object("not", vec![last]), last_depth + 1)?;
                    continue;
                }
                Some(first @ Symbol::Expr(..)) => {
                    self.stack.push(first);
                    Symbol::And
                }
                Some(operator) => operator,
                None => return Ok(()),
            };
            let Some(Symbol::Expr(first, first_depth)) = self.stack.pop() else { return Ok(()) };
            let (value, merged) = match operator {
                Symbol::Or => either(first, last),
                _ => both(first, last, self.syntax.joined),
            };
            let first_depth = if merged { first_depth } else { first_depth + 1 };
            self.push(value, first_depth.max(last_depth + 1))?;
        }
    }

    fn push(&mut self, value: Value, depth: usize) -> Result<(), QueryError> {
        if depth > CONSTRAINT_DEPTH_MAX {
            return Err(QueryError::TooDeep { max: CONSTRAINT_DEPTH_MAX });
        }
        self.stack.push(Symbol::Expr(value, depth));
        Ok(())
    }

    /// `operator:operand`, or a bare operand with the default operator.
    fn term(&self, text: &str) -> Result<Value, QueryError> {
        let (operator, value) = match text.split_once(':') {
            Some((operator, value)) => {
                let alias = self.syntax.aliases.iter().find(|(short, _)| *short == operator);
                (alias.map_or(operator, |(_, full)| full), value)
            }
            None => {
                let missing = || QueryError::MissingOperator { token: text.to_owned() };
                (self.syntax.default_operator.ok_or_else(missing)?, text)
            }
        };
        let odd = |c: &char| !c.is_alphanumeric() && !"_.+@-".contains(*c);
        if let Some(character) = operator.chars().find(odd) {
            return Err(QueryError::InvalidOperator { character, operator: operator.to_owned() });
        }
        let separator = self.syntax.lists.iter().find(|(name, _)| *name == operator);
        let values = match separator {
            Some((_, separator)) => value.split(*separator).map(Value::from).collect(),
            None => vec![value.into()],
        };
        Ok(object(operator, values))
    }
}

/// How tight a token binds to the expression before it: a term, or an opening parenthesis, least of all.
fn binding(token: &Token) -> u8 {
    match token {
        Token::Term(_) | Token::Open | Token::Close => 0,
        Token::Or => 1,
        Token::And => 2,
        Token::Not => 3,
        Token::Negate => 4,
    }
}

fn object(operator: &str, values: Vec<Value>) -> Value {
    Value::Object(Map::from_iter([(operator.to_owned(), Value::Array(values))]))
}

/// The list under `operator`, if that is what the object holds.
fn list_of<'a>(value: &'a mut Value, operator: &str) -> Option<&'a mut Vec<Value>> {
    value.get_mut(operator)?.as_array_mut()
}

/// `or` of the two, and whether the first could simply take up the second.
fn either(mut first: Value, last: Value) -> (Value, bool) {
    match list_of(&mut first, "or") {
        Some(list) => list.push(last),
        None => return (object("or", vec![first, last]), false),
    }
    (first, true)
}

/// `and` of the two, and whether the first could simply take up the second.
fn both(mut first: Value, mut last: Value, joined: &[&str]) -> (Value, bool) {
    if let Some(list) = list_of(&mut first, "and") {
        list.push(last);
        return (first, true);
    }
    for operator in joined {
        if let (Some(into), Some(from)) = (list_of(&mut first, operator), list_of(&mut last, operator)) {
            into.append(from);
            return (first, true);
        }
    }
    (object("and", vec![first, last]), false)
}
