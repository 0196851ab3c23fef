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
    if fits.count > 2 {
      lines += ["", Self.table(fits)]
    } else {
      for fit in fits { lines += [""] + self.lines(fit) }
    }
    if let (recipe, cost) = conversion {
      lines.append("")
      lines += Format.wrapped(
        "To make it (quern quantize --recipe \(recipe)): \(cost.sentence)")
      if explaining {
        for item in cost.items { lines += Format.wrapped("\(item.name) = \(item.formula)", indent: 2) }
      }
    }
    return lines.joined(separator: "\n")
  }

  /// A line per device.
  private static func table(_ fits: [DeviceFit]) -> String {
    var table = Table([
      .init(title: "device", isFlexible: true), .init(title: "memory", alignsRight: true),
      .init(title: "to spare", alignsRight: true), .init(title: "context", alignsRight: true),
      .init(title: "sequences", alignsRight: true, isOptional: true), .init(title: "tokens/s", alignsRight: true),
      .init(title: "limited by", isOptional: true),
    ])
    for fit in fits {
      let rate = fit.generation ?? fit.split?.generation
      let split = fit.split.map { "\($0.layers) layers here" + ($0.offload.layersWithoutExperts > 0 ? "*" : "") }
      table.add(
        fit.device.name, Format.binaryBytes(fit.usableBytes), Format.bytes(fit.headroomBytes),
        fit.maxContext > 0 ? Format.grouped(fit.maxContext) : "–",
        fit.maxBatch > 0 ? Format.grouped(fit.maxBatch) : "–",
        rate.map { Format.short($0.tokensPerSecond) } ?? "–",
        fit.fits ? fit.generation?.bottleneck.word ?? "" : split ?? "does not fit")
    }
    let hasExperts = fits.contains { ($0.split?.offload.layersWithoutExperts ?? 0) > 0 }
    return table.text() + (hasExperts ? "\n* some of their experts with the host" : "")
  }

  private func lines(_ fit: DeviceFit) -> [String] {
    let size = "\(Format.bytes(fit.usableBytes)), \(Format.binaryBytes(fit.usableBytes))"
    let name = fit.device.name
    var lines: [String] = []
    func say(_ text: String) { lines += Format.wrapped(text, indent: 2) }
    guard fit.fits else {
      say("does not fit \(name) (\(size)): \(Format.bytes(-fit.headroomBytes)) too much")
      if let split = fit.split { say("  " + Self.text(split, on: fit.device)) }
      guard !isTraining else { return lines }
      say(
        fit.maxContext > 0
          ? "  the longest context that fits is \(Format.grouped(fit.maxContext)) tokens"
          : "  no context fits: try --recipe int4, or a larger device")
      return lines
    }
    say("fits \(name) (\(size)) with \(Format.bytes(fit.headroomBytes)) to spare")
    guard !isTraining else { return lines }
    say(
      "  up to \(Format.grouped(fit.maxContext)) tokens of context, or \(Format.grouped(fit.maxBatch)) "
        + (fit.maxBatch == 1 ? "sequence of this one" : "sequences of this one"))
    let generation = fit.generation.map {
      "\(Format.short($0.tokensPerSecond)) tokens/s (\($0.bottleneck.rawValue))"
    }
    let prompt = fit.prompt.map {
      "\(Format.short($0.tokensPerSecond)) tokens/s of a prompt (\($0.bottleneck.rawValue))"
    }
    let rates = [generation, prompt].compactMap { $0 }
    say(
      rates.isEmpty
        ? "  how fast: quern bench measures it here; a --device whose rates are known tells it"
        : "  about " + rates.joined(separator: ", "))
    return lines
  }

  private static func text(_ split: DeviceSplit, on device: Device) -> String {
    let experts = split.offload.layersWithoutExperts
    let options = "--n-gpu-layers \(split.offload.gpuLayers)" + (experts > 0 ? " --n-cpu-moe \(experts)" : "")
    let rate =
      split.generation.map { ", about \(Format.short($0.tokensPerSecond)) tokens/s (\($0.bottleneck.rawValue))" } ?? ""
    return "\(split.layers) layers would"
      + (experts > 0 ? ", without the experts of \(experts < split.layers ? "\(experts) of them" : "any")" : "")
      + " (\(options)): \(Format.bytes(split.deviceBytes)) on the device, "
      + "\(Format.bytes(split.hostBytes)) in the host's memory\(rate)"
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
              "layers": .integer(split.layers), "gpuLayers": .integer(split.offload.gpuLayers),
              "layersWithoutExperts": .integer(split.offload.layersWithoutExperts),
              "tokensPerSecond": split.generation.map { .double($0.tokensPerSecond) } ?? .null,
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

extension DeviceFit.Bottleneck {
  /// For tables.
  var word: String {
    switch self {
    case .bandwidth: "bandwidth"
    case .arithmetic: "arithmetic"
    case .launches: "overhead"
    case .host: "host"
    }
  }
}

extension ConversionCost {
  /// For people.
  var sentence: String {
    "about \(Format.bytes(fileBytes)) on disk, \(Format.bytes(memoryBytes)) of memory, "
      + "\(Format.duration(seconds)) on this machine's processors"
  }
}
