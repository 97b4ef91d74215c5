//! What counts as markup in what people typed, so that tags go and a lone `<` stays a character.

/// In bytes: `&#x10ffff;`, with a zero before.
const LONGEST_REFERENCE: usize = 11;

/// Takes tags, comments and declarations out, and the content of `script` and `style` with them; every other `<` and
/// every `&` that begins no reference becomes a reference itself. The result holds no `<`.
///
/// A tag is only what would be one in well-formed HTML: a name of ASCII letters, digits and dashes, attributes of which
/// one at least has a value (so `a<b and c>d` is kept), quotes closed, and the `>`. A parser of HTML takes more for
/// markup, and from an unclosed `<` or quote on it drops all that follows; what it would take wrongly is kept as text
/// here, which is safe since it is escaped.
pub(super) fn strip(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['<', '&']) {
        let (before, special) = rest.split_at(at);
        out.push_str(before);
        rest = if let Some(inner) = special.strip_prefix('<') {
            after_markup(inner).unwrap_or_else(|| {
                out.push_str("&lt;");
                inner
            })
        } else {
            out.push_str(if begins_reference(special) { "&" } else { "&amp;" });
            special.strip_prefix('&').unwrap_or_default()
        };
    }
    out.push_str(rest);
    out
}

/// What follows the markup that an already read `<` opens; none where it opens none.
fn after_markup(inner: &str) -> Option<&str> {
    if let Some(comment) = inner.strip_prefix("!--") {
        return comment
            .strip_prefix('>')
            .or_else(|| comment.strip_prefix("->"))
            .or_else(|| comment.split_once("-->").map(|(_, after)| after));
    }
    if let Some(declaration) = inner.strip_prefix(['!', '?']) {
        let named = declaration.starts_with(|c: char| c.is_ascii_alphabetic() || c == '[');
        return named.then(|| declaration.split_once('>')).flatten().map(|(_, after)| after);
    }
    if let Some(closing) = inner.strip_prefix('/') {
        return element_name(closing)?.1.trim_start().strip_prefix('>');
    }
    let (name, attributes) = element_name(inner)?;
    let after = after_attributes(attributes)?;
    if name.eq_ignore_ascii_case("script") || name.eq_ignore_ascii_case("style") {
        return Some(after_element(name, after).unwrap_or(after));
    }
    Some(after)
}

fn element_name(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-')?;
    let (name, rest) = text.split_at(end);
    let ends_here = rest.starts_with(|c: char| c.is_ascii_whitespace() || c == '/' || c == '>');
    (name.starts_with(|c: char| c.is_ascii_alphabetic()) && ends_here).then_some((name, rest))
}

fn after_attributes(mut rest: &str) -> Option<&str> {
    let (mut bare, mut valued) = (false, false);
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        if let Some(after) = rest.strip_prefix('>') {
            return (valued || !bare).then_some(after);
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || "/>=<\"'".contains(c))?;
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        rest = if let Some(value) = after.trim_start().strip_prefix('=') {
            valued = true;
            after_value(value.trim_start())?
        } else {
            bare = true;
            after
        };
    }
}

fn after_value(value: &str) -> Option<&str> {
    for quote in ['"', '\''] {
        if let Some(quoted) = value.strip_prefix(quote) {
            return quoted.split_once(quote).map(|(_, after)| after);
        }
    }
    let end = value.find(|c: char| c.is_ascii_whitespace() || c == '>')?;
    Some(value.split_at(end).1)
}

fn after_element<'a>(name: &str, content: &'a str) -> Option<&'a str> {
    let end_tag = format!("</{}", name.to_ascii_lowercase());
    let at = content.to_ascii_lowercase().find(&end_tag)?;
    content.split_at(at).1.split_once('>').map(|(_, after)| after)
}

/// Whether a whole reference stands here: a number, or one of those that escaping makes. Others (`&copy`, which may be
/// part of an address) are kept as typed.
fn begins_reference(text: &str) -> bool {
    // Not sought further than the longest goes, or a text of nothing but `&` would cost its length squared.
    let end = text.bytes().take(LONGEST_REFERENCE).position(|b| b == b';');
    let Some(name) = end.and_then(|end| text.get(1..end)) else { return false };
    let is_number = |digits: &str, hex: bool| {
        (1..=7).contains(&digits.len())
            && digits.bytes().all(|b| if hex { b.is_ascii_hexdigit() } else { b.is_ascii_digit() })
    };
    match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => is_number(hex, true),
            None => is_number(number, false),
        },
        None => matches!(name, "amp" | "lt" | "gt" | "quot" | "apos" | "nbsp"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_goes_and_the_rest_stays() {
        for (typed, left) in [
            ("<b>bold</b>", "bold"),
            ("a<br/>b<br />c<hr>", "abc"),
            ("<img src=x onerror=alert(1)>", ""),
            ("<img/src=x/onerror=alert(1)>", ""),
            (r#"<a href="x>y" title='a"b'>link</a >"#, "link"),
            ("<SCRIPT async src=x>alert('<b>')</Script >after", "after"),
            ("<style>p{}</style>x", "x"),
            ("the <style> tag", "the  tag"),
            ("a<!-- <b> -->b<!-->c<!--->d", "abcd"),
            ("<!DOCTYPE html><?xml version='1'?><![CDATA[x]]>y", "y"),
            ("<my-element a=1>x</my-element>", "x"),
            ("if a<b then ok", "if a&lt;b then ok"),
            ("a<b and c>d", "a&lt;b and c>d"),
            ("1 < 2 > 0", "1 &lt; 2 > 0"),
            ("<3 </3 <- <-> <> </> <!> <?>", "&lt;3 &lt;/3 &lt;- &lt;-> &lt;> &lt;/> &lt;!> &lt;?>"),
            ("x <!-- a > b", "x &lt;!-- a > b"),
            (r#"x <b y="z> w"#, r#"x &lt;b y="z> w"#),
            ("<https://example.org/> <ada@example.org>", "&lt;https://example.org/> &lt;ada@example.org>"),
            ("<scr<b>ipt>", "&lt;script>"),
            ("<<b>b>", "&lt;b>"),
            ("<b", "&lt;b"),
            ("<b a", "&lt;b a"),
            ("<b a=", "&lt;b a="),
            ("<b a=>x", "x"),
            ("<b =a>", "&lt;b =a>"),
            ("<é>", "&lt;é>"),
        ] {
            assert_eq!(strip(typed), left, "{typed:?}");
        }
    }

    #[test]
    fn references_are_whole_or_none() {
        for (typed, left) in [
            ("&amp; &lt;b&gt; &#39; &#x27; &nbsp;", "&amp; &lt;b&gt; &#39; &#x27; &nbsp;"),
            ("AT&T & co", "AT&amp;T &amp; co"),
            ("/?a=1&copy=2&lt=3", "/?a=1&amp;copy=2&amp;lt=3"),
            ("&copy; &#; &#x; &#99999999; &#xg;", "&amp;copy; &amp;#; &amp;#x; &amp;#99999999; &amp;#xg;"),
            ("&", "&amp;"),
        ] {
            assert_eq!(strip(typed), left, "{typed:?}");
        }
    }
}
