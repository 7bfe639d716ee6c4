//! The table of who reaches whom, in each of its three forms.

use netwhy_model::{Lang, Text};
use netwhy_policy::matrix::{Cell, Matrix, Verdict, html, svg, text};
use proptest::prelude::*;

fn cell(verdict: Verdict, on: &str) -> Cell {
    Cell { verdict, on: on.to_owned(), why: Text { en: "rule <7>".to_owned(), zh: "规则 <7>".to_owned() } }
}

fn matrix() -> Matrix {
    Matrix {
        title: Text { en: "Who reaches whom".to_owned(), zh: "谁能访问谁".to_owned() },
        rows: vec!["边缘".to_owned(), "a<b>&\"\u{1b}[31m".to_owned()],
        columns: vec!["origin".to_owned(), "db".to_owned()],
        cells: vec![
            vec![cell(Verdict::Allowed, "tcp 443"), cell(Verdict::Denied, "")],
            vec![cell(Verdict::Depends, "")],
        ],
    }
}

#[test]
fn text_is_aligned_by_what_letters_take_and_says_what_each_sign_means() {
    let text = text(&matrix(), Lang::En);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..3], ["Who reaches whom", "  1 = origin", "  2 = db"]);
    assert_eq!(lines[3], "            1 2");
    assert_eq!(lines[4], "边缘        + x");
    assert_eq!(lines[5], "a<b>&\" [31m ? -");
    assert_eq!(lines[6], "+ allowed 1, x denied 1, ? depends 1, - unknown 1");
    assert!(text.contains("边缘 → origin: allowed; tcp 443\n") && text.contains("depends; rule <7>\n"));
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn html_and_svg_need_nothing_else_and_escape_what_they_show() {
    for lang in [Lang::En, Lang::Zh] {
        for page in [html(&matrix(), lang), svg(&matrix(), lang)] {
            assert!(!page.contains("<b>") && page.contains("a&lt;b&gt;&amp;&quot; [31m"), "{page}");
            assert!(!page.contains("src=") && !page.contains("<script") && !page.contains("href"));
            for verdict in [Verdict::Allowed, Verdict::Denied, Verdict::Depends] {
                assert!(page.contains(verdict.word(lang)), "a word beside the colour");
            }
        }
    }
    let page = html(&matrix(), Lang::Zh);
    assert!(
        page.contains("position:sticky") && page.contains("scope=\"row\"") && page.contains("lang=\"zh-CN\"")
    );
}

#[test]
fn a_large_table_is_cut_and_says_so() {
    let names: Vec<String> = (0..500).map(|number| format!("n{number}")).collect();
    let large = Matrix { rows: names.clone(), columns: names, cells: Vec::new(), ..matrix() };
    assert!(html(&large, Lang::En).contains("and 100 more rows, 100 more columns"));
    assert!(text(&large, Lang::Zh).contains("另有 100 行、100 列"));
}

proptest! {
    #[test]
    fn any_names_give_well_formed_pages(names in proptest::collection::vec("\\PC{0,30}", 0..5), cells in 0_usize..4) {
        let row = vec![cell(Verdict::Partly, "x"); cells];
        let matrix = Matrix { rows: names.clone(), columns: names, cells: vec![row; cells], ..matrix() };
        text(&matrix, Lang::En);
        let picture = svg(&matrix, Lang::En);
        prop_assert_eq!(picture.matches("<text").count(), picture.matches("</text>").count());
        let page = html(&matrix, Lang::Zh);
        prop_assert_eq!(page.matches("<td").count(), page.matches("</td>").count());
    }
}
