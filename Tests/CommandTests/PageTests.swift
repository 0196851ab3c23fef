import Bytes
import ContainerTesting
import Foundation
import SystemPackage
import Testing

/// The page that `quern memory --html` writes, in headless Chromium (Debian's package; `make test` installs it).
@Suite(.serialized) struct PageTests {
  private static let browser: String? = ["chromium", "chromium-browser", "google-chrome"].lazy.flatMap { name in
    ["/usr/bin/", "/usr/local/bin/", "/snap/bin/"].map { $0 + name }
  }.first { FileManager.default.isExecutableFile(atPath: $0) }

  /// What the browser makes of a page: the document after its scripts ran.
  private static func rendered(_ page: String, width: Int) throws -> String {
    let browser = try #require(Self.browser, "no chromium here: apt-get install chromium (make test does)")
    let scratch = Scratch()
    // The page has no script; the test's own asks what only a browser knows.
    let probe = """
      <script>
      const root = document.documentElement
      root.dataset.overflow = root.scrollWidth > root.clientWidth
      root.dataset.rows = document.querySelectorAll('#items tr').length
      root.dataset.devices = document.querySelectorAll('#devices tr').length
      root.dataset.drawn = [...document.querySelectorAll('svg polyline')].filter(e => e.getBBox().width > 100).length
      root.dataset.outside = [...document.querySelectorAll('svg')].flatMap(svg => [...svg.querySelectorAll('text')].filter(e => {
        const box = e.getBBox(), view = svg.viewBox.baseVal
        return box.x < 0 || box.y < 0 || box.x + box.width > view.width || box.y + box.height > view.height
      })).map(e => e.textContent).join(' | ')
      root.dataset.fetched = performance.getEntriesByType('resource').length
      </script>
      """
    let path = try scratch.write(Array((page + probe).utf8), to: "page.html")
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/timeout")
    process.arguments = [
      "-k", "5", "120", browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
      "--user-data-dir=\(scratch.path.appending("profile").string)", "--window-size=\(width),1400", "--dump-dom",
      "file://\(path.string)",
    ]
    let out = scratch.path.appending("dom.html")
    _ = FileManager.default.createFile(atPath: out.string, contents: nil)
    process.standardOutput = try FileHandle(forWritingTo: URL(fileURLWithPath: out.string))
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: try InputFile.contents(of: out, limit: 1 << 24), as: UTF8.self)
  }

  private static func data(_ name: String, in document: String) -> String? {
    guard let start = document.firstRange(of: "data-\(name)=\"") else { return nil }
    return String(document[start.upperBound...].prefix { $0 != "\"" })
  }

  @Test("every row and both plots are drawn, nothing is cut off or fetched", arguments: [1280, 800])
  func page(width: Int) throws {
    let scratch = Scratch()
    let path = scratch.path.appending("page.html")
    let outcome = try Quern.run([
      "memory", "llama-3.1-8b", "--recipe", "q4_0", "--profile", "llama.cpp", "--context", "8192", "--device",
      "RTX 3060",
      "--device", "GTX 1650", "--html", path.string, "--json",
    ])
    #expect(outcome.status == 0, "\(outcome.errors)")
    let items = try #require(try outcome.json()["items"]?.array).count
    let page = String(decoding: try InputFile.contents(of: path, limit: 1 << 24), as: UTF8.self)
    let document = try Self.rendered(page, width: width)
    #expect(Self.data("overflow", in: document) == "false")
    #expect(try #require(Self.data("rows", in: document).flatMap { Int($0) }) >= items + 2)
    #expect(Self.data("devices", in: document) == "3")
    #expect(Self.data("drawn", in: document) == "5")
    #expect(Self.data("outside", in: document) == "")
    #expect(Self.data("fetched", in: document) == "0")
  }
}
