import ArgumentParser
import Bytes
import Calibration
import Conversion
import IR
import Kernels
import SystemPackage

/// Where a model goes and how: shared by the commands that write one.
struct OutputOptions: ParsableArguments {
  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp("The .gguf file or, for safetensors, directory to write.", valueName: "out"))
  var output: FilePath?

  @Option(help: "gguf or safetensors (default: by OUT's name).")
  var to: String?

  @Option(help: ArgumentHelp("Split into files of at most this many bytes: 2GB, 500MB.", valueName: "size"))
  var maxShardSize: String?

  @Flag(help: "Replace an existing output file.")
  var force = false

  func container() throws -> OutputContainer {
    let output = try requiredOutput()
    guard let to else {
      return output.lastComponent?.string.lowercased().hasSuffix(".gguf") == true ? .gguf : .safetensors
    }
    guard let container = OutputContainer(rawValue: to.lowercased()) else {
      throw UsageError("--to takes gguf or safetensors, not '\(to)'")
    }
    return container
  }

  func requiredOutput() throws(UsageError) -> FilePath {
    guard let output else { throw UsageError("say where to write: -o OUT.gguf, or -o DIRECTORY for safetensors") }
    return output
  }

  func maximumShardBytes() throws(UsageError) -> Int? {
    try maxShardSize.map { text throws(UsageError) in
      guard let bytes = ByteSize(text)?.bytes, bytes >= 1 << 20 else {
        throw UsageError("--max-shard-size takes a size of at least 1MB such as 2GB, not '\(text)'")
      }
      return bytes
    }
  }

  /// Writes, with a progress bar, and reports; returns what was done.
  ///
  /// - Parameters:
  ///   - companions: files that get their names together with the output.
  ///   - meanwhile: long work that cannot be divided, for one thread while the others write.
  ///   - warnings: more of them, known from the result.
  ///   - afterwards: runs once the output has its name; what it returns is reported with the rest.
  func perform(
    _ job: ConversionJob, label: String, calibration: (any ModelQuantizer)? = nil, processor: Processor, asJSON: Bool,
    companions: (ConversionResult) throws(FileError) -> [AtomicFile] = { _ in [] },
    meanwhile: @escaping @Sendable () -> Void = {},
    warnings: (ConversionResult) -> [String] = { _ in [] },
    afterwards: (ConversionResult) throws -> (text: String, json: JSONObject)? = { _ in nil }
  ) throws {
    let shardBytes = try maximumShardBytes()
    let output = try requiredOutput()
    let start = Clock.now()
    let progress = Progress(label, total: job.outputTensorBytes, unit: .bytes, isShown: !asJSON)
    var result = try job.write(
      to: output, overwrites: force, maximumShardBytes: shardBytes, pool: processor.pool, calibration: calibration,
      companions: companions, meanwhile: meanwhile
    ) { progress.advance($0) }
    progress.finish()
    result.warnings += warnings(result)
    let seconds = Clock.now() - start
    for warning in result.warnings { Terminal.standardError("quern: warning: \(warning)\n") }
    let memory = Environment.peakResidentBytes
    if !asJSON { print(text(result, output: output, seconds: seconds, memory: memory)) }
    let more = try afterwards(result)
    if asJSON {
      var object = json(result, output: output, seconds: seconds, memory: memory)
      for member in more?.json.members ?? [] { object[member.key] = member.value }
      printJSON(object)
    } else if let more {
      print("\n" + more.text)
    }
  }

  private func text(_ result: ConversionResult, output: FilePath, seconds: Double, memory: Int) -> String {
    var lines: [String] = []
    let changed = result.changed
    if !changed.isEmpty {
      var table = Table([
        .init(title: "from"), .init(title: "to"), .init(title: "tensors", alignsRight: true),
        .init(title: "relative error, mean", alignsRight: true), .init(title: "worst", alignsRight: true),
        .init(title: "worst tensor", isFlexible: true),
      ])
      for (from, to) in result.changes {
        let group = changed.filter { $0.from.name == from && $0.storedAs == to }
        let errors = group.compactMap(\.relativeError)
        let worst = group.max { ($0.relativeError ?? 0) < ($1.relativeError ?? 0) }
        table.add(
          from, to, "\(group.count)",
          errors.isEmpty ? "–" : Format.percent(errors.reduce(0, +) / Double(errors.count)),
          worst?.relativeError.map { Format.percent($0) } ?? "–", worst?.name.text ?? "")
      }
      lines += [table.text(), ""]
    }
    lines.append(
      "\(output): \(Format.bytes(result.fileByteCount)), \(Format.fixed(result.bitsPerWeight, 2)) bits per weight, "
        + "\(Format.fixed(seconds, 2)) s, \(Format.bytes(memory)) of memory")
    return lines.joined(separator: "\n")
  }

  private func json(_ result: ConversionResult, output: FilePath, seconds: Double, memory: Int) -> JSONObject {
    [
      "output": .text(output.string), "container": .text(result.container.rawValue),
      "fileBytes": .integer(result.fileByteCount), "bitsPerWeight": .double(result.bitsPerWeight),
      "seconds": .double(seconds), "peakResidentBytes": .integer(memory),
      "tensors": .array(
        result.tensors.map { tensor in
          var row: JSONObject = [
            "name": .string(tensor.name), "from": .text(tensor.from.name), "to": .text(tensor.storedAs),
          ]
          row["rmse"] = tensor.rootMeanSquareError.map { .double($0) } ?? .double(0)
          row["relativeError"] = tensor.relativeError.map { .double($0) }
          row["outputError"] = tensor.outputError.map { .double($0) }
          return .object(row)
        }),
      "warnings": .array(result.warnings.map { .text($0) }),
      "report": .object([
        "consumed": .texts(result.match.consumed), "produced": .texts(result.produced),
        "ignored": .array(result.match.ignored.map { .object(["name": .string($0.name), "rule": .text($0.rule)]) }),
        "missing": .texts(result.match.missing), "unexpected": .texts(result.match.unexpected),
      ]),
    ]
  }
}

/// A size as people write it: `6GB`, `500 MiB`, `1.5g`, `4096`.
struct ByteSize {
  let bytes: Int

  init?(_ text: String) {
    let compact = text.filter { $0 != " " && $0 != "_" }.lowercased()
    let number = compact.prefix { $0.isNumber || $0 == "." }
    let powers = ["": 0, "b": 0, "k": 1, "kb": 1, "m": 2, "mb": 2, "g": 3, "gb": 3, "t": 4, "tb": 4]
    let binary = ["kib": 1, "mib": 2, "gib": 3, "tib": 4]
    guard let value = Double(number), value >= 0 else { return nil }
    let unit = String(compact.dropFirst(number.count))
    let factor: Double
    if let power = powers[unit] {
      factor = (0..<power).reduce(1) { product, _ in product * 1000 }
    } else if let power = binary[unit] {
      factor = (0..<power).reduce(1) { product, _ in product * 1024 }
    } else {
      return nil
    }
    guard value * factor < 9e18 else { return nil }
    bytes = Int(value * factor)
  }
}
