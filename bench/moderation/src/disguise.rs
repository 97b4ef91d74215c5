//! How people write a word so that a filter overlooks it: one rule each, for the words in braces.

pub type Rule = fn(&str) -> String;

/// The rules by their names in the table.
pub const RULES: &[(&str, Rule)] = &[
    ("disguised: capitals in turn", |word| {
        each(word, |at, c| if at % 2 == 0 { c.to_uppercase().collect() } else { c.to_string() })
    }),
    ("disguised: digits for letters", |word| each(word, |_, c| table(c, LEET).to_string())),
    ("disguised: one digit", one_digit),
    ("disguised: spelled with spaces", |word| parted(word, " ")),
    ("disguised: spelled with dots", |word| parted(word, ".")),
    ("disguised: one dot", |word| {
        let middle = word.chars().count() / 2;
        each(word, |at, c| if at == middle && c != ' ' { format!(".{c}") } else { c.to_string() })
    }),
    ("disguised: letters drawn out", |word| {
        let last = vowel(word);
        each(word, |at, c| c.to_string().repeat(if at == last { 5 } else { 1 }))
    }),
    ("disguised: vowel hidden", |word| {
        let hidden = vowel(word);
        each(word, |at, c| if at == hidden && at > 0 { "*".to_owned() } else { c.to_string() })
    }),
    ("disguised: zero-width spaces", |word| parted(word, "\u{200B}")),
    ("disguised: Cyrillic letters", |word| each(word, |_, c| table(c, CYRILLIC).to_string())),
    ("disguised: full width", |word| shifted(word, 0xFF41)),
    ("disguised: mathematical bold", |word| shifted(word, 0x1D41A)),
    ("disguised: in circles", |word| shifted(word, 0x24D0)),
    ("disguised: accents", |word| each(word, |_, c| table(c, ACCENTS).to_string())),
    ("disguised: stacked marks", |word| each(word, |_, c| format!("{c}\u{336}\u{30F}\u{323}"))),
];

const LEET: &[(char, char)] = &[('a', '4'), ('e', '3'), ('i', '1'), ('o', '0'), ('s', '5'), ('t', '7')];
const CYRILLIC: &[(char, char)] =
    &[('a', 'а'), ('c', 'с'), ('e', 'е'), ('i', 'і'), ('o', 'о'), ('p', 'р'), ('s', 'ѕ'), ('y', 'у'), ('k', 'к')];
const ACCENTS: &[(char, char)] =
    &[('a', 'ä'), ('c', 'ç'), ('e', 'é'), ('i', 'ï'), ('o', 'ö'), ('u', 'ü'), ('s', 'š'), ('n', 'ñ')];

/// The line with each word in braces disguised.
pub fn apply(line: &str, rule: Rule) -> String {
    let mut parts = line.split(['{', '}']);
    let mut all = String::new();
    while let Some(part) = parts.next() {
        all.push_str(part);
        if let Some(word) = parts.next() {
            all.push_str(&rule(word));
        }
    }
    all
}

fn each(word: &str, map: impl Fn(usize, char) -> String) -> String {
    word.chars().enumerate().map(|(at, c)| map(at, c)).collect()
}

fn parted(word: &str, by: &str) -> String {
    let words: Vec<String> =
        word.split(' ').map(|word| word.chars().map(String::from).collect::<Vec<_>>().join(by)).collect();
    words.join(" ")
}

fn one_digit(word: &str) -> String {
    let at = word.chars().position(|c| table(c, LEET) != c);
    each(word, |index, c| if Some(index) == at { table(c, LEET) } else { c }.to_string())
}

fn vowel(word: &str) -> usize {
    word.chars().skip(1).position(|c| "aeiou".contains(c)).map_or(1, |at| at + 1)
}

fn table(c: char, table: &[(char, char)]) -> char {
    table.iter().find(|(from, _)| *from == c).map_or(c, |(_, to)| *to)
}

fn shifted(word: &str, a: u32) -> String {
    let shift = |c: char| char::from_u32(a + u32::from(c) - u32::from('a')).unwrap_or(c);
    each(word, |_, c| if c.is_ascii_lowercase() { shift(c) } else { c }.to_string())
}
