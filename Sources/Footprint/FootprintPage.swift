/// A footprint as one HTML page that needs nothing else: items with formulas, devices, and the plots inline.
public struct FootprintPage: Sendable {
  /// For people: the model's path or name.
  public let model: String
  public let parameterCount: Int
  public let bitsPerWeight: Double
  public let footprint: Footprint
  public let fits: [DeviceFit]
  public let plots: [LinePlot]

  public init(
    model: String, parameterCount: Int, bitsPerWeight: Double, footprint: Footprint, fits: [DeviceFit],
    plots: [LinePlot]
  ) {
    self.model = model
    self.parameterCount = parameterCount
    self.bitsPerWeight = bitsPerWeight
    self.footprint = footprint
    self.fits = fits
    self.plots = plots
  }

  public func html() -> String {
    var lines = [
      "<!doctype html>", "<html lang=\"en\">", "<meta charset=\"utf-8\">",
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">",
      "<title>Memory of \(escaped(model))</title>", "<style>\(Self.style)</style>",
      "<h1>Memory of \(escaped(model)): \(decimalBytes(Double(footprint.totalBytes)))</h1>",
      "<p>\(grouped(parameterCount)) parameters at \(decimal(bitsPerWeight, 2)) bits per weight, run by "
        + "\(escaped(footprint.profile)), with room for \(grouped(footprint.context)) tokens "
        + "of \(footprint.batch == 1 ? "one sequence" : "each of \(grouped(footprint.batch)) sequences").",
    ]
    lines += bar() + items()
    for note in footprint.notes { lines.append("<p class=\"note\">\(escaped(note))</p>") }
    for plot in plots { lines.append("<figure>\n\(plot.svg())\n</figure>") }
    if !fits.isEmpty { lines += devices() }
    lines.append(
      "<p class=\"note\">GB are 10<sup>9</sup> bytes, GiB 2<sup>30</sup>. In formulas, ⌈x⌉n is x rounded up to a multiple "
        + "of n, and x ÷ n is rounded up.")
    return lines.joined(separator: "\n") + "\n"
  }

  /// The shares of the whole, largest idea first: what most of it is.
  private func bar() -> [String] {
    let total = Double(max(1, footprint.totalBytes))
    let parts = FootprintItem.Part.allCases.enumerated().compactMap { number, part -> (String, String, Double)? in
      let bytes = footprint.bytes(of: part)
      return bytes == 0 ? nil : (part.title, Self.colors[number % Self.colors.count], Double(bytes))
    }
    var lines = ["<div class=\"bar\">"]
    for (title, color, bytes) in parts {
      lines.append(
        "<div style=\"flex:\(decimal(bytes / total * 1000, 2)) 0 0;background:\(color)\" title=\"\(title)\"></div>")
    }
    lines += ["</div>", "<p class=\"key\">"]
    for (title, color, bytes) in parts {
      lines.append(
        "<span><i style=\"background:\(color)\"></i>\(title) \(decimalBytes(bytes)), \(decimal(bytes / total * 100, 1)) %</span>"
      )
    }
    return lines + ["</p>"]
  }

  private func items() -> [String] {
    var lines = ["<table id=\"items\"><tr><th>what<th>part<th class=\"n\">bytes<th class=\"n\">size<th>because"]
    let row = { (item: FootprintItem, part: String) in
      "<tr><td>\(escaped(item.name))<td>\(part)<td class=\"n\">\(grouped(item.bytes))"
        + "<td class=\"n\">\(decimalBytes(Double(item.bytes)))<td>\(escaped(item.formula))"
    }
    lines += footprint.items.map { row($0, $0.part.title) }
    lines.append(
      "<tr><th>total<th><th class=\"n\">\(grouped(footprint.totalBytes))<th class=\"n\">\(decimalBytes(Double(footprint.totalBytes)))<th>"
    )
    lines += footprint.hostItems.map { row($0, "host's memory") }
    return lines + ["</table>"]
  }

  private func devices() -> [String] {
    var lines = [
      "<h2>Where it fits</h2>",
      "<div class=\"wide\"><table id=\"devices\"><tr><th>device<th class=\"n\">memory<th>fits"
        + "<th class=\"n\">to spare<th class=\"n\">longest context<th class=\"n\">most sequences"
        + "<th class=\"n\">tokens/s<th>limited by, or divided",
    ]
    for fit in fits {
      let spare = (fit.headroomBytes < 0 ? "−" : "") + decimalBytes(Double(abs(fit.headroomBytes)))
      let divided =
        fit.split.map {
          "\($0.layers) layers here"
            + ($0.offload.layersWithoutExperts > 0 ? ", experts of \($0.offload.layersWithoutExperts) not" : "")
            + ", \(decimalBytes(Double($0.hostBytes))) in the host's memory"
        } ?? ""
      let rate = (fit.generation ?? fit.split?.generation).map {
        decimal($0.tokensPerSecond, $0.tokensPerSecond < 10 ? 1 : 0)
      }
      let count = { (value: Int) in value > 0 ? grouped(value) : "–" }
      lines.append(
        "<tr><td>\(escaped(fit.device.name))<td class=\"n\">\(decimalBytes(Double(fit.usableBytes)))"
          + "<td>\(fit.fits ? "yes" : "no")<td class=\"n\">\(spare)<td class=\"n\">\(count(fit.maxContext))"
          + "<td class=\"n\">\(count(fit.maxBatch))<td class=\"n\">\(rate ?? "–")<td>\(fit.generation?.bottleneck.rawValue ?? divided)"
      )
    }
    return lines + ["</table></div>"]
  }

  private static let colors = ["#1f77b4", "#2ca02c", "#9467bd", "#7f7f7f", "#ff7f0e", "#8c564b"]

  /// On a narrow screen the items' table becomes a list: name and size on a line, the formula below.
  private static let style =
    "body{font:15px/1.45 system-ui,sans-serif;max-width:62rem;margin:1.5rem auto;padding:0 1rem;color-scheme:light dark}"
    + "h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2rem}table{border-collapse:collapse;margin:1rem 0;width:100%}"
    + "td,th{padding:.25rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid #8884}"
    + ".n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}#items td:last-child{opacity:.8}"
    + "#devices td:first-child{white-space:nowrap}"
    + ".bar{display:flex;height:1.5rem;border-radius:.25rem;overflow:hidden}.key{margin:.5rem 0;display:flex;flex-wrap:wrap;"
    + "gap:.2rem 1.2rem}.key i{display:inline-block;width:.8em;height:.8em;margin-right:.4em}"
    + "figure{margin:1.5rem 0}figure,.wide{overflow-x:auto}svg{width:100%;min-width:32rem;height:auto}.note{opacity:.8}"
    + "@media(max-width:44rem){#items,#items tbody{display:block}#items tr{display:grid;grid-template-columns:1fr auto;"
    + "border-bottom:1px solid #8884;padding:.3rem 0}#items td,#items th{border:0;padding:.1rem 0}"
    + "#items :is(td,th):is(:nth-child(2),:nth-child(3)){display:none}#items :is(td,th):nth-child(5){grid-column:1/-1;"
    + "font-size:.87em}#items th:nth-child(5){display:none}}"
}

extension FootprintItem.Part {
  /// For people.
  var title: String {
    switch self {
    case .weights: "weights"
    case .kvCache: "KV cache"
    case .compute: "buffers"
    case .overhead: "program and driver"
    case .gradient: "gradients"
    case .optimizer: "optimizer"
    }
  }
}
