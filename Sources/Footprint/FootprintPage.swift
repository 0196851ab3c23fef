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
      "<meta name=\"viewport\" content=\"width=device-width\">", "<title>Memory of \(escaped(model))</title>",
      "<style>\(Self.style)</style>", "<h1>Memory of \(escaped(model))</h1>",
      "<p>\(grouped(parameterCount)) parameters, \(decimal(bitsPerWeight, 2)) bits per weight, \(escaped(footprint.profile)), "
        + "context \(grouped(footprint.context)), batch \(footprint.batch): <b>\(decimalBytes(Double(footprint.totalBytes)))</b></p>",
      "<table id=\"items\"><tr><th>what<th>part<th>bytes<th><th>formula",
    ]
    for item in footprint.items {
      lines.append(
        "<tr><td>\(escaped(item.name))<td>\(item.part.rawValue)<td class=\"n\">\(grouped(item.bytes))"
          + "<td class=\"n\">\(decimalBytes(Double(item.bytes)))<td>\(escaped(item.formula))")
    }
    lines.append(
      "<tr><th>total<th><th class=\"n\">\(grouped(footprint.totalBytes))<th class=\"n\">\(decimalBytes(Double(footprint.totalBytes)))<th>"
    )
    for item in footprint.hostItems {
      lines.append(
        "<tr><td>\(escaped(item.name))<td>host's memory<td class=\"n\">\(grouped(item.bytes))"
          + "<td class=\"n\">\(decimalBytes(Double(item.bytes)))<td>\(escaped(item.formula))")
    }
    lines.append("</table>")
    for note in footprint.notes { lines.append("<p>\(escaped(note))</p>") }
    for plot in plots { lines.append("<figure>\n\(plot.svg())\n</figure>") }
    if !fits.isEmpty { lines += devices() }
    return lines.joined(separator: "\n") + "\n"
  }

  private func devices() -> [String] {
    var lines = [
      "<table id=\"devices\"><tr><th>device<th>memory<th>fits<th>to spare<th>longest context<th>most sequences"
        + "<th>tokens/s<th>limited by, or divided"
    ]
    for fit in fits {
      let spare = (fit.headroomBytes < 0 ? "−" : "") + decimalBytes(Double(abs(fit.headroomBytes)))
      let divided =
        fit.split.map {
          "\($0.layers) layers here"
            + ($0.layersWithoutExperts > 0 ? ", experts of \($0.layersWithoutExperts) not" : "")
            + ", \(decimalBytes(Double($0.hostBytes))) in the host's memory"
        } ?? ""
      let rate = fit.generation.map { decimal($0.tokensPerSecond, $0.tokensPerSecond < 10 ? 1 : 0) } ?? ""
      lines.append(
        "<tr><td>\(escaped(fit.device.name))<td class=\"n\">\(decimalBytes(Double(fit.usableBytes)))"
          + "<td>\(fit.fits ? "yes" : "no")<td class=\"n\">\(spare)<td class=\"n\">\(grouped(fit.maxContext))"
          + "<td class=\"n\">\(grouped(fit.maxBatch))<td class=\"n\">\(rate)<td>\(fit.generation?.bottleneck.rawValue ?? divided)"
      )
    }
    return lines + ["</table>"]
  }

  private static let style =
    "body{font:15px system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color-scheme:light dark}"
    + "table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .6rem;text-align:left;vertical-align:top;"
    + "border-bottom:1px solid #8884}.n{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    + "figure{margin:1.5rem 0}svg{max-width:100%;height:auto}"
}
