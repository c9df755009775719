//! How many segments a text costs on the air (CARRIERS §9): GSM-7 with its extension table, else UCS-2, packed greedily.
//! The product counts for itself; this count is what the carrier reports in `num_segments`.

const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";
const EXTENDED: &str = "^{}\\[~]|€\u{c}";

/// Segments of `text`; an empty text is one segment.
pub(crate) fn count_segments(text: &str) -> usize {
    let septets: Option<Vec<usize>> = text.chars().map(gsm_width).collect();
    match septets {
        Some(widths) => pack(&widths, 160, 153),
        None => pack(&text.chars().map(char::len_utf16).collect::<Vec<_>>(), 70, 67),
    }
}

/// Whether a text needs no more than GSM-7.
pub(crate) fn is_gsm(text: &str) -> bool {
    text.chars().all(|character| gsm_width(character).is_some())
}

fn gsm_width(character: char) -> Option<usize> {
    if BASIC.contains(character) {
        Some(1)
    } else if EXTENDED.contains(character) {
        Some(2)
    } else {
        None
    }
}

/// A character that does not fit as a whole starts the next segment.
fn pack(widths: &[usize], alone: usize, part: usize) -> usize {
    if widths.iter().sum::<usize>() <= alone {
        return 1;
    }
    let mut segments = 1;
    let mut used = 0;
    for width in widths {
        if used + width > part {
            segments += 1;
            used = 0;
        }
        used += width;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_official_segment_vectors_hold() {
        let a = |n| "a".repeat(n);
        let u = |n| "ú".repeat(n);
        for (text, segments) in [
            (String::new(), 1),
            ("1".repeat(160), 1),
            ("1".repeat(161), 2),
            ("1".repeat(307), 3),
            (format!("{}€{}", a(152), a(152)), 3),
            (format!("{}€{}", a(153), a(151)), 2),
            (format!("{}😀{}", u(66), u(66)), 3),
            (u(134), 2),
            (format!("{}€", a(158)), 1),
            (format!("{}€", a(159)), 2),
            (format!("😜{}", a(68)), 1),
            (format!("😜{}", a(69)), 2),
            ("ç".repeat(70), 1),
            ("ç".repeat(71), 2),
        ] {
            assert_eq!(count_segments(&text), segments, "{} characters", text.chars().count());
        }
    }
}
