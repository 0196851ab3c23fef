public import Bytes
public import Calibration
import Catalog
import Codecs
import GGUF
public import IR
public import Kernels
public import Passes
import Safetensors
public import SystemPackage

/// What a model can be written as.
public enum OutputContainer: String, Sendable, CaseIterable {
  case gguf
  /// A Hugging Face directory.
  case safetensors
}

/// A conversion that is decided and checked, and not yet done: open → plan → passes → write.
public struct ConversionJob: Sendable {
  private let opened: OpenedCheckpoint
  private let original: Model
  private let model: Model
  private let container: OutputContainer
  private let ggufFileType: Int?
  private let pending: [ByteString: PendingTensorSource]
  private let packed: PackedWeights?

  /// - Parameters:
  ///   - plan: the formats to store tensors in, or nil to keep them (GGUF wants vectors in F32).
  ///   - ggufFileType: what a GGUF output calls the whole, or nil to take it from its tensors.
  ///   - importance: of the columns, for encoders that weigh errors by it.
  ///   - calibrated: the tensors whose bytes a calibration given to `write` computes.
  public init(
    _ opened: OpenedModel, plan: QuantizationPlan?, ggufFileType: Int?, container: OutputContainer,
    importance: Importance? = nil, calibrated: Set<ByteString> = [], kernels: Kernels
  ) throws(ConversionError) {
    try self.init(
      .model(opened), plan: plan ?? (container == .gguf ? .widenedVectors(of: opened.model) : nil),
      ggufFileType: ggufFileType, container: container, importance: importance, calibrated: calibrated,
      kernels: kernels)
  }

  /// The same for a checkpoint that may be of no known family: its tensors pass under their own names.
  public init(
    _ opened: OpenedCheckpoint, plan: QuantizationPlan?, ggufFileType: Int? = nil, container: OutputContainer,
    importance: Importance? = nil, calibrated: Set<ByteString> = [], kernels: Kernels
  ) throws(ConversionError) {
    guard opened.checkpoint.container != .configuration else {
      throw .unrecognized(path: opened.checkpoint.path, detail: "a configuration has no weights to write")
    }
    if case .tensors(let checkpoint, let reason) = opened, container == .gguf {
      throw .unrecognized(
        path: checkpoint.path, detail: "GGUF needs to know the model's family (\(reason)); use --to safetensors")
    }
    self.opened = opened
    self.container = container
    self.ggufFileType = ggufFileType
    if plan?.packing != nil, container == .gguf {
      throw .inexpressible(
        "\(plan?.recipe ?? "the plan") is for GPU libraries, which read safetensors; give OUT as a directory")
    }
    var pending: [ByteString: PendingTensorSource] = [:]
    for step in plan?.steps ?? [] where calibrated.contains(step.name) && !step.isPacked {
      pending[step.name] = PendingTensorSource(rowByteCount: step.to.byteCount(elements: step.shape.columns) ?? 0)
    }
    self.pending = pending
    original = opened.model
    do {
      var plan = plan
      if opened.opened == nil {
        plan = plan ?? .unpacked(of: original)
      } else if container == .gguf {
        plan = plan ?? .widenedVectors(of: original)
        plan?.widenForLlama()
      }
      packed = PackedWeights(
        plan, of: original, importance: importance, calibrated: calibrated, kernels: kernels)
      let passes = plan.map { [ChangeFormats($0, importance: importance, pending: pending, kernels: kernels)] } ?? []
      model = try Pipeline(passes).run(original)
    } catch { throw .pass(error) }
  }

  /// For progress: what `write` will report in all.
  public var outputTensorBytes: Int { model.tensorByteCount }

  /// Bytes of all files that a GGUF output would have.
  public func outputByteCount() throws(ConversionError) -> Int {
    guard container == .gguf, let opened = opened.opened else { return model.tensorByteCount }
    let export = try GGUFExport(
      opened, model: model, fileType: ggufFileType ?? Self.fileType(of: model), name: opened.checkpoint.modelName)
    do {
      let layout = try GGUFLayout(
        stem: "model", metadata: export.metadata, tensors: export.tensors, maximumPartBytes: nil)
      return layout.files.reduce(0) { $0 + $1.byteCount }
    } catch { throw .gguf(error) }
  }

  /// Writes the output. On any error nothing remains under its name.
  ///
  /// - Parameters:
  ///   - calibration: runs the model and encodes what was named to `init`; each block is written as it comes.
  ///   - companions: complete files that get their names together with the output, made once it is known.
  ///   - meanwhile: long work that cannot be divided; one thread does it while the others write. May be called twice.
  public func write(
    to path: FilePath, overwrites: Bool, maximumShardBytes: Int?, pool: WorkerPool,
    calibration: (any ModelQuantizer)? = nil,
    companions: (ConversionResult) throws(FileError) -> [AtomicFile] = { _ in [] },
    meanwhile: @escaping @Sendable () -> Void = {}, progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) throws(ConversionError) -> ConversionResult {
    precondition(pending.isEmpty || calibration != nil, "nobody computes the calibrated tensors")
    let streamer = TensorStreamer(pool: pool, meanwhile: meanwhile, progress: progress)
    switch container {
    case .gguf:
      guard let opened = opened.opened else { preconditionFailure("GGUF without a family was refused before") }
      let name = opened.checkpoint.modelName
      let export = try GGUFExport(opened, model: model, fileType: ggufFileType ?? Self.fileType(of: model), name: name)
      let layout: GGUFLayout
      do {
        layout = try GGUFLayout(
          stem: path.stem ?? "model", metadata: export.metadata, tensors: export.tensors,
          maximumPartBytes: maximumShardBytes)
      } catch { throw .gguf(error) }
      do {
        let isSplit = layout.files.count > 1
        var files: [AtomicFile] = []
        for part in layout.files {
          let name = isSplit ? path.removingLastComponent().appending(part.name) : path
          files.append(try AtomicFile(name, overwrites: overwrites))
        }
        let outcome = try write(Array(zip(layout.files, files)), streamer, calibration)
        let result = result(
          at: files.first?.path ?? path, files: layout.files, others: 0, outcome: outcome, warnings: export.warnings)
        try AtomicFile.commit(files + companions(result))
        return result
      } catch let error as ConversionError { throw error } catch let error as FileError { throw .file(error) } catch {
        preconditionFailure("\(error)")
      }
    case .safetensors:
      var export: HuggingFaceExport
      switch opened {
      case .model(let opened): export = try HuggingFaceExport(opened, model: model)
      case .tensors(let checkpoint, _): export = HuggingFaceExport(tensorsOf: checkpoint, model: model)
      }
      packed?.replaceMatrices(of: model, in: &export)
      let layout: SafetensorsLayout
      do {
        var metadata = Metadata()
        metadata["format"] = .string("pt")
        layout = try SafetensorsLayout(
          tensors: export.tensors, metadata: metadata, maximumShardBytes: maximumShardBytes)
      } catch { throw .safetensors(error) }
      do {
        let folder = try Self.directory(path, overwrites: overwrites)
        var small = export.files
        small[SafetensorsLayout.indexName] = layout.index
        var files: [AtomicFile] = []
        for (name, bytes) in small.sorted(by: { $0.key < $1.key }) {
          let file = try folder.file(named: name)
          try file.write(bytes, at: 0)
          files.append(file)
        }
        var parts: [(FileLayout, AtomicFile)] = []
        for part in layout.files { parts.append((part, try folder.file(named: part.name))) }
        let outcome = try write(parts, streamer, calibration)
        let result = result(
          at: path, files: layout.files, others: small.values.reduce(0) { $0 + $1.count }, outcome: outcome,
          warnings: export.warnings)
        let beside = try companions(result)
        try folder.commit(files + parts.map { $0.1 })
        try AtomicFile.commit(beside)
        return result
      } catch let error as ConversionError { throw error } catch let error as FileError { throw .file(error) } catch {
        preconditionFailure("\(error)")
      }
    }
  }

  /// Writes what is there, then what calibration computes, block by block.
  private func write(
    _ parts: [(layout: FileLayout, file: AtomicFile)], _ streamer: TensorStreamer, _ calibration: (any ModelQuantizer)?
  ) throws -> [ByteString: EncodedTensor] {
    var open: [TensorStreamer.OpenFile] = []
    for part in parts { open.append(try TensorStreamer.OpenFile(part.layout, part.file)) }
    func writeReady() throws(FileError) { for index in open.indices { try streamer.writeReady(&open[index]) } }
    try writeReady()
    var outcome: [ByteString: EncodedTensor] = [:]
    do {
      try calibration?.run { (tensors) throws(FileError) in
        for tensor in tensors {
          pending[tensor.name]?.supply(tensor.bytes)
          packed?.supply(tensor)
        }
        try writeReady()
        for tensor in tensors {
          pending[tensor.name]?.release()
          outcome[tensor.name] = tensor.withoutBytes()
        }
      }
    } catch {
      switch error {
      case .file(let error): throw error
      default: throw ConversionError.calibration(path: opened.checkpoint.path, error)
      }
    }
    precondition(open.allSatisfy { $0.remaining.isEmpty }, "a tensor was never computed")
    return outcome
  }

  /// A model's directory may be replaced, its weights by the new ones; what else lies in it stays. Another is left alone.
  private static func directory(_ path: FilePath, overwrites: Bool) throws(FileError) -> AtomicDirectory {
    let names = FileSystem.isDirectory(path) ? FileSystem.names(in: path) : []
    let isModel = ["config.json", "model.safetensors", SafetensorsLayout.indexName].contains(where: names.contains)
    if overwrites, !names.isEmpty, !isModel { throw .occupied(path: path) }
    return try AtomicDirectory(path, overwrites: overwrites) { name in
      name.hasSuffix(".safetensors") || name == SafetensorsLayout.indexName || Checkpoint.companionNames.contains(name)
    }
  }

  private func result(
    at path: FilePath, files: [FileLayout], others: Int, outcome: [ByteString: EncodedTensor], warnings: [String]
  ) -> ConversionResult {
    ConversionResult(
      container: container, path: path, fileByteCount: files.reduce(others) { $0 + $1.byteCount },
      bitsPerWeight: Double(tensorByteCount(of: files)) * 8 / Double(max(1, model.parameterCount)),
      tensors: model.tensors.map { tensor in
        let source = tensor.source as? RecodedSource
        return .init(
          name: tensor.name, from: original[tensor.name]?.format ?? tensor.format, to: tensor.format,
          packing: packed.flatMap { $0.isPacked(tensor.name) ? $0.scheme : nil },
          elementCount: tensor.shape.elementCount,
          statistics: packed?.statistics(of: tensor.name) ?? source?.statistics ?? outcome[tensor.name]?.statistics,
          outputError: outcome[tensor.name]?.outputError)
      },
      match: opened.opened?.report ?? MatchReport(passing: original.tensors.map(\.name)),
      produced: files.flatMap { $0.placements.map(\.tensor.name) },
      warnings: warnings + nonFiniteWarnings())
  }

  private func tensorByteCount(of files: [FileLayout]) -> Int {
    guard packed != nil else { return model.tensorByteCount }
    return files.reduce(0) { $0 + $1.placements.reduce(0) { $0 + $1.tensor.byteCount } }
  }

  private func nonFiniteWarnings() -> [String] {
    model.tensors.compactMap { tensor in
      let scheme = packed.flatMap { $0.isPacked(tensor.name) ? $0.scheme : nil }
      let statistics = packed?.statistics(of: tensor.name) ?? (tensor.source as? RecodedSource)?.statistics
      guard let count = statistics?.nonFiniteCount, count > 0 else { return nil }
      let stored = scheme != nil || tensor.format.kind == .packed ? "0" : "they are"
      return
        "\(tensor.name) holds \(count) values that are not finite; \(scheme?.label ?? tensor.format.name) stores them "
        + "as \(stored)"
    }
  }

  /// What llama.cpp calls a file whose matrices are mostly of one type.
  private static func fileType(of model: Model) -> Int {
    var counts: [BlockFormat: Int] = [:]
    for tensor in model.tensors where tensor.shape.dimensions.count > 1 {
      counts[tensor.format, default: 0] += tensor.shape.elementCount
    }
    let fileTypes: [BlockFormat: Int] = [
      .f32: 0, .f16: 1, .q4_0: 2, .q4_1: 3, .q8_0: 7, .q5_0: 8, .q5_1: 9, .q2_K: 10, .q3_K: 12, .q4_K: 15, .q5_K: 17,
      .q6_K: 18, .iq2_XXS: 19, .iq2_XS: 20, .iq3_XXS: 23, .iq1_S: 24, .iq4_NL: 25, .iq3_S: 26, .iq2_S: 28, .iq4_XS: 30,
      .iq1_M: 31, .bf16: 32, .tq1_0: 36, .tq2_0: 37, .mxfp4: 38, .nvfp4: 39, .q1_0: 40, .q2_0: 41,
    ]
    return counts.max { ($0.value, $0.key.name) < ($1.value, $1.key.name) }.flatMap { fileTypes[$0.key] } ?? 0
  }
}

extension QuantizationPlan {
  /// Everything as it is, but packed blocks decoded to F32, which loses nothing: what safetensors can hold.
  static func unpacked(of model: Model) -> QuantizationPlan {
    var plan = widenedVectors(of: model)
    for (index, tensor) in model.tensors.enumerated() {
      plan.steps[index].to = tensor.format.kind == .packed ? .f32 : tensor.format
      plan.steps[index].reason = tensor.format.kind == .packed ? "decoded" : "kept"
    }
    return plan
  }
}

extension MatchReport {
  /// Of a checkpoint without a family: all of it is taken as it is.
  init(passing names: [ByteString]) {
    self.init()
    consumed = names
  }
}

extension Checkpoint {
  /// A name for people: the directory's, or the file's without its ending.
  var modelName: String {
    container == .gguf ? path.stem ?? "model" : path.removingLastComponent().lastComponent?.string ?? "model"
  }
}
