import ArgumentParser
import Bytes
import Conversion
import IR
import Kernels
import Runtime
import Safetensors
import SystemPackage

struct LogitsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "logits",
    abstract: "Write a model's raw outputs for given token ids, for tests and debugging.",
    discussion: """
      IN holds input_ids [batch, tokens] (I32 or I64); OUT will hold logits [batch, tokens, vocabulary] in F32.
      """)

  @Argument(help: "A Hugging Face directory or .gguf file.")
  var model: FilePath

  @Option(help: "A safetensors file with input_ids.")
  var ids: FilePath

  @Option(name: [.short, .customLong("output")], help: "The safetensors file to write.")
  var output: FilePath

  @Option(help: "exact (decoded weights, F32 arithmetic) or fast.")
  var arithmetic: Arithmetic = .exact

  @Flag(help: "Replace an existing output file.")
  var force = false

  @OptionGroup var common: CommonOptions

  func run() throws {
    let processor = try common.processor()
    let sequences = try readSequences()
    let running = try RunningModel(model, arithmetic: arithmetic, processor: processor, isQuiet: common.json)
    let length = sequences.first?.count ?? 0
    let vocabularySize = running.transformer.configuration.vocabularySize
    guard let shape = Shape([sequences.count, length, vocabularySize]), length > 0 else {
      throw UsageError("\(ids): input_ids is empty")
    }
    let session = try running.session(capacity: length)
    let layout: FileLayout
    do {
      let tensor = TensorRef(
        name: "logits", shape: shape, format: .f32, source: MemoryTensorSource(bytes: [], rowByteCount: 0))
      layout = try SafetensorsLayout(tensors: [tensor], metadata: Metadata(), maximumShardBytes: nil).files[0]
    } catch { throw ConversionError.safetensors(error) }
    if let wrong = sequences.joined().first(where: { !(0..<vocabularySize).contains($0) }) {
      throw ConversionError.unrecognized(
        path: ids, detail: "input_ids holds \(wrong), which is no token of a vocabulary of \(vocabularySize)")
    }
    let file = try AtomicFile(output, overwrites: force)
    try file.write(layout.header, at: 0)
    var offset = layout.placements[0].offset
    for sequence in sequences {
      session.reset()
      for start in stride(from: 0, to: length, by: Session.batch) {
        let batch = Array(sequence[start..<min(start + Session.batch, length)])
        try session.append(batch)
        for first in stride(from: 0, to: batch.count, by: Session.logitsBatch) {
          let rows = session.logits(rows: first..<min(first + Session.logitsBatch, batch.count))
          var bytes = ByteWriter()
          for value in rows.floats.array().prefix(rows.rows * vocabularySize) { bytes.append(value) }
          try file.write(bytes.bytes, at: offset)
          offset += bytes.count
        }
      }
    }
    try file.commit()
    if common.json {
      printJSON(["output": .text(output.string), "shape": .array(shape.dimensions.map { .integer($0) })])
    } else {
      print("\(output): logits \(shape)")
    }
  }

  private func readSequences() throws -> [[Int]] {
    let input: SafetensorsFile
    do { input = try SafetensorsFile(ids) } catch { throw ConversionError.safetensors(error) }
    guard let tensor = input.tensors.first(where: { $0.name == "input_ids" }) else {
      throw ConversionError.unrecognized(path: ids, detail: "it has no tensor input_ids")
    }
    guard [.i32, .i64].contains(tensor.format), tensor.shape.dimensions.count == 2 else {
      throw ConversionError.unrecognized(
        path: ids, detail: "input_ids is \(tensor.format.name) \(tensor.shape), not I32 or I64 [batch, tokens]")
    }
    let bytes = try tensor.readAll()
    let width = tensor.format.bytesPerBlock
    let values = stride(from: 0, to: bytes.count, by: width).map { at in
      var value: UInt64 = 0
      for byte in stride(from: width - 1, through: 0, by: -1) { value = value << 8 | UInt64(bytes[at + byte]) }
      return width == 8 ? Int(Int64(bitPattern: value)) : Int(Int32(truncatingIfNeeded: value))
    }
    let length = tensor.shape.columns
    guard length > 0 else { return [] }
    return stride(from: 0, to: values.count, by: length).map { Array(values[$0..<$0 + length]) }
  }
}
