import Footprint
import IR
import Testing

@Suite struct PlotTests {
  static func plot() throws -> LinePlot {
    let model = try shape(Configurations.llama3).formatted(as: pure(.q4_0))
    return try LinePlot.overContexts(
      model, llamaCpp(context: 8192), title: "Llama <3>", marks: [.init(name: "12 GiB", y: 12 * 1_073_741_824)])
  }

  @Test("contexts double up to what the model was trained for; totals grow")
  func contexts() throws {
    let plot = try Self.plot()
    #expect(plot.series.map(\.name) == ["weights", "weights and KV cache", "total"])
    for series in plot.series {
      #expect(series.points.map { Int($0.x) } == [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536, 131072])
      #expect(zip(series.points, series.points.dropFirst()).allSatisfy { $0.y <= $1.y })
    }
  }

  @Test("SVG: one line a series, names escaped, nothing fetched")
  func svg() throws {
    let svg = try Self.plot().svg()
    #expect(svg.hasPrefix("<svg") && svg.hasSuffix("</svg>"))
    #expect(svg.split(separator: "\n").filter { $0.hasPrefix("<polyline") }.count == 3)
    #expect(svg.contains("Llama &lt;3&gt;") && !svg.contains("Llama <3>"))
    #expect(svg.contains("12 GiB") && svg.contains("128K"))
    #expect(!svg.contains("href") && !svg.contains("nan"))
  }

  @Test("text: as wide as asked, every line", arguments: [40, 80, 120])
  func text(width: Int) throws {
    let lines = try Self.plot().text(width: width, height: 12)
    #expect(lines.count >= 1 + 12 + 2 && lines.count <= 1 + 12 + 5)
    #expect(lines.allSatisfy { $0.count <= width })
    #expect(lines[1].contains("GB |"))
    #expect(lines.contains { $0.contains("t") && $0.contains("|") })
  }

  @Test("the page stands alone and holds every item and device")
  func page() throws {
    let model = try shape(Configurations.llama3).formatted(as: pure(.q4_0))
    let request = try llamaCpp(context: 4096)
    let footprint = try Footprint(of: model, for: request)
    let fit = try #require(try FitPlanner(model, request).fit(on: DeviceCatalog().device(named: "RTX 3060")))
    let page = FootprintPage(
      model: "<model>", parameterCount: model.parameterCount, bitsPerWeight: model.bitsPerWeight, footprint: footprint,
      fits: [fit], plots: [try Self.plot()])
    let html = page.html()
    #expect(html.hasPrefix("<!doctype html>"))
    #expect(!html.contains("<model>") && html.contains("&lt;model&gt;"))
    #expect(!html.contains("src=") && !html.contains("<link") && !html.contains("<script"))
    for item in footprint.items { #expect(html.contains(item.formula.replacing("'", with: "&#39;"))) }
    #expect(html.contains("RTX 3060 12GB") && html.contains("<svg"))
  }
}
