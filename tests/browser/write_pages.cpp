// write_pages FOLDER: the pages that the tests in a browser open.
//   example.html     every kind of chart, table, tone and item
//   attack.html      the same with an attack in each of its texts
//   attack_run.html  a stored run whose names, labels, prompts and answers are attacks
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "reports/pages/render.h"
#include "tests/browser/example_page.h"
#include "tests/unit/reports/example_data.h"

namespace ds4::reports {
namespace {

// Each would set window.attacked, ask for something, leave its place or turn the text around.
const std::string kAttacks[] = {
    "<script>window.attacked=1</script>",
    "</script><script>window.attacked=2</script>",
    "<img src=x onerror=window.attacked=3>",
    "\"><svg onload=window.attacked=4>",
    "' onmouseover='window.attacked=5",
    "<a href=\"javascript:window.attacked=6\">press</a>",
    "<!--",
    "]]></style><style>body{display:none}</style>",
    "</pre></details><iframe src=https://attack.invalid/></iframe>",
    "\u202Egnp.exe\u2066\u2069",
    "\x1b]0;title\x07\x01\x7f",
    "{{constructor.constructor('window.attacked=7')()}}",
    "<meta http-equiv=refresh content=0;url=https://attack.invalid/>",
    "&lt;b&gt;&#x3c;script&#x3e;",
    "<base href=https://attack.invalid/><link rel=stylesheet href=a.css>",
};

// Adds the next attack to a text.
class Attacker {
 public:
  void operator()(std::string& text) { text += " " + kAttacks[next_++ % std::size(kAttacks)]; }
  void operator()(Table& table) {
    (*this)(table.caption);
    for (TableColumn& column : table.columns) (*this)(column.title);
    if (table.rows.size() > 30) table.rows.resize(30);
    for (auto& row : table.rows) {
      for (TableCell& cell : row) (*this)(cell.text);
    }
  }
  void operator()(Chart& chart) {
    for (std::string* text : {&chart.title, &chart.answer, &chart.x.title, &chart.y.title}) {
      (*this)(*text);
    }
    for (std::string& name : chart.y.categories) (*this)(name);
    for (ChartSeries& series : chart.series) {
      (*this)(series.name);
      for (ChartPoint& point : series.points) {
        for (std::string* text : {&point.label, &point.note, &point.cell}) (*this)(*text);
      }
    }
    for (ChartGuide& guide : chart.guides) (*this)(guide.label);
    for (ChartBand& band : chart.bands) (*this)(band.label);
    (*this)(chart.table);
  }
  void operator()(Page& page) {
    PageHead& head = page.head;
    for (std::string* text :
         {&page.run.id, &page.run.profile_name, &page.run.started_at, &head.title, &head.subject,
          &head.reason, &head.next_step, &head.provenance, &head.word, &head.deploy.front()}) {
      (*this)(*text);
    }
    for (Section& section : page.sections) {
      (*this)(section.title);
      for (std::string& paragraph : section.paragraphs) (*this)(paragraph);
      for (Table& table : section.tables) (*this)(table);
      for (Chart& chart : section.charts) (*this)(chart);
      for (Item& item : section.items) {
        (*this)(item.title);
        for (Item::Part& part : item.parts) {
          (*this)(part.label);
          (*this)(part.text);
        }
      }
    }
  }

 private:
  size_t next_ = 0;
};

Page attack_page() {
  Page page = example_page();
  Attacker{}(page);
  return page;
}

// Through the store and build_page(), with all attacks in each text that a run takes from outside.
Page attack_run(const std::filesystem::path& folder) {
  std::string all;
  for (const std::string& attack : kAttacks) all += attack + "\n";
  ExampleRun run(4);
  run.data.run.profile_name = run.data.run.command_line = run.data.run.checkpoint_path = all;
  run.data.cells[0].label = all;
  for (auto& planned : run.data.cells[0].cases) planned.case_id += all;
  run.launch("KERNEL_CRASH").sample("peak_memory", 1e9);
  run.data.launches[0].message = run.data.launches[0].log_tail = all;
  const char* grades[] = {"wrong", "invalid", "correct", "correct"};
  for (int i = 0; i < 4; ++i) {
    StoredAttempt& attempt = run.attempt(i, grades[i], i > 1);
    attempt.case_id += all;
    attempt.prompt = attempt.text = attempt.content = attempt.expected = attempt.reasoning = all;
    attempt.score->extracted = attempt.score->explanation = all;
    attempt.tags = {{"length", i % 2 ? "2048" : "512"}, {"depth", all}};
    attempt.prompt_tokens = i % 2 ? 2048 : 512;
  }
  const auto store = Store::open(folder / "attack_run.db");
  run.write(*store);
  return build_page(*store, run.data.run.id);
}

void write(const std::filesystem::path& file, const Page& page) {
  std::ofstream out(file, std::ios::binary);
  out << render_html(page);
  if (!out.flush()) {
    std::fprintf(stderr, "write_pages: cannot write %s\n", file.c_str());
    std::exit(1);
  }
}

}  // namespace
}  // namespace ds4::reports

int main(int argc, char** argv) {
  using namespace ds4::reports;
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_pages FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const TemporaryFolder temporary;
  write(folder / "example.html", example_page());
  write(folder / "attack.html", attack_page());
  write(folder / "attack_run.html", attack_run(temporary.path()));
}
