import Bytes
import Footprint

/// A footprint and its fits as text and as JSON.
struct MemoryReport {
  let model: String
  let shape: ModelShape
  let footprint: Footprint
  let fits: [DeviceFit]
  let isTraining: Bool
  /// Of writing it so, when it was counted as if quantized.
  let conversion: (recipe: String, cost: ConversionCost)?

  func text(explaining: Bool) -> String {
    var table = Table([
      .init(title: "what", isFlexible: true), .init(title: "bytes", alignsRight: true),
      .init(title: "", alignsRight: true),
    ])
    for item in footprint.items { table.add(item.name, Format.grouped(item.bytes), Format.bytes(item.bytes)) }
    table.add("total", Format.grouped(footprint.totalBytes), Format.bytes(footprint.totalBytes))
    for item in footprint.hostItems {
      table.add("host's memory: \(item.name)", Format.grouped(item.bytes), Format.bytes(item.bytes))
    }
    var lines = Format.wrapped(
      "\(model): \(Format.count(shape.parameterCount)) parameters, \(Format.fixed(shape.bitsPerWeight, 2)) bits per weight, "
        + "\(footprint.profile), context \(Format.grouped(footprint.context)), batch \(footprint.batch)")
    lines += ["", table.text()]
    if explaining {
      lines.append("")
      for item in footprint.items + footprint.hostItems {
        lines += Format.wrapped("\(item.name) = \(item.formula)", indent: 2)
      }
    }
    for note in footprint.notes { lines += [""] + Format.wrapped(note) }
    for fit in fits { lines += [""] + self.lines(fit) }
    if let (recipe, cost) = conversion {
      lines.append("")
      lines += Format.wrapped(
        "To make it (quern quantize --recipe \(recipe)): about \(Format.bytes(cost.fileBytes)) on disk, "
          + "\(Format.bytes(cost.memoryBytes)) of memory, \(Format.duration(cost.seconds)) on this machine's processors"
      )
      if explaining {
        for item in cost.items { lines += Format.wrapped("\(item.name) = \(item.formula)", indent: 2) }
      }
    }
    return lines.joined(separator: "\n")
  }

  private func lines(_ fit: DeviceFit) -> [String] {
    let size = "\(Format.bytes(fit.usableBytes)), \(Format.binaryBytes(fit.usableBytes))"
    let name = fit.device.name
    guard fit.fits else {
      var lines = ["does not fit \(name) (\(size)): \(Format.bytes(-fit.headroomBytes)) too much"]
      if let split = fit.split { lines += Format.wrapped("  " + Self.text(split), indent: 2) }
      if isTraining { return lines }
      lines.append(
        fit.maxContext > 0
          ? "  the longest context that fits is \(Format.grouped(fit.maxContext)) tokens"
          : "  no context fits: try --recipe int4, or a larger device")
      return lines
    }
    var lines = ["fits \(name) (\(size)) with \(Format.bytes(fit.headroomBytes)) to spare"]
    guard !isTraining else { return lines }
    lines.append(
      "  up to \(Format.grouped(fit.maxContext)) tokens of context, or \(Format.grouped(fit.maxBatch)) "
        + (fit.maxBatch == 1 ? "sequence of this one" : "sequences of this one"))
    if let rate = fit.generation {
      let prompt =
        fit.prompt.map { ", \(Format.short($0.tokensPerSecond)) for a prompt (\($0.bottleneck.rawValue))" } ?? ""
      lines += Format.wrapped(
        "  about \(Format.short(rate.tokensPerSecond)) tokens/s (\(rate.bottleneck.rawValue))\(prompt)", indent: 2)
    }
    return lines
  }

  private static func text(_ split: DeviceSplit) -> String {
    let experts =
      split.layersWithoutExperts > 0
      ? ", the experts of \(split.layersWithoutExperts) of them in the host's memory (--n-cpu-moe)" : ""
    return "\(split.layers) layers would (--n-gpu-layers)\(experts): \(Format.bytes(split.deviceBytes)) here, "
      + "\(Format.bytes(split.hostBytes)) in the host's memory"
  }

  func json() -> JSONObject {
    var result: JSONObject = [
      "model": .text(model), "family": .text(shape.family), "parameterCount": .integer(shape.parameterCount),
      "bitsPerWeight": .double(shape.bitsPerWeight),
    ]
    for member in Self.json(footprint).members { result[member.key] = member.value }
    result["devices"] = .array(
      fits.map { fit in
        .object([
          "name": .text(fit.device.name), "memoryBytes": .integer(fit.usableBytes), "fits": .bool(fit.fits),
          "totalBytes": .integer(fit.footprint.totalBytes), "hostBytes": .integer(fit.footprint.hostBytes),
          "headroomBytes": .integer(fit.headroomBytes), "maxContext": .integer(fit.maxContext),
          "maxBatch": .integer(fit.maxBatch),
          "split": fit.split.map { split in
            .object([
              "layers": .integer(split.layers), "layersWithoutExperts": .integer(split.layersWithoutExperts),
              "deviceBytes": .integer(split.deviceBytes), "hostBytes": .integer(split.hostBytes),
            ])
          } ?? .null,
          "tokensPerSecond": fit.generation.map { .double($0.tokensPerSecond) } ?? .null,
          "bottleneck": fit.generation.map { .text($0.bottleneck.rawValue) } ?? .null,
          "promptTokensPerSecond": fit.prompt.map { .double($0.tokensPerSecond) } ?? .null,
          "promptBottleneck": fit.prompt.map { .text($0.bottleneck.rawValue) } ?? .null,
        ])
      })
    if let (recipe, cost) = conversion {
      result["conversion"] = .object([
        "recipe": .text(recipe), "fileBytes": .integer(cost.fileBytes), "memoryBytes": .integer(cost.memoryBytes),
        "seconds": .double(cost.seconds),
      ])
    }
    return result
  }

  /// The part that an image network has too.
  static func json(_ footprint: Footprint) -> JSONObject {
    func row(_ item: FootprintItem) -> JSONValue {
      .object([
        "name": .text(item.name), "part": .text(item.part.rawValue), "bytes": .integer(item.bytes),
        "formula": .text(item.formula),
      ])
    }
    return [
      "profile": .text(footprint.profile), "context": .integer(footprint.context), "batch": .integer(footprint.batch),
      "weightsBytes": .integer(footprint.weightsBytes), "kvCacheBytes": .integer(footprint.kvCacheBytes),
      "computeBytes": .integer(footprint.computeBytes), "overheadBytes": .integer(footprint.overheadBytes),
      "gradientBytes": .integer(footprint.gradientBytes), "optimizerBytes": .integer(footprint.optimizerBytes),
      "totalBytes": .integer(footprint.totalBytes), "hostBytes": .integer(footprint.hostBytes),
      "items": .array(footprint.items.map(row)), "hostItems": .array(footprint.hostItems.map(row)),
      "notes": .array(footprint.notes.map { .text($0) }),
    ]
  }
}
