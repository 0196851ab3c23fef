import ArgumentParser
import Bytes
import Catalog
import Conversion
import IR
import Passes
import SystemPackage

struct Convert: ParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a model in another container, with the same values.",
    discussion: """
      The container follows from OUT's name (.gguf, or a directory for safetensors) unless --to says it. Types stay as \
      they are unless --dtype asks for another float type; packed types need --dtype to become safetensors. A checkpoint \
      of no known family becomes safetensors with its tensors' own names.

        quern convert ./SmolLM2-135M -o smollm2.gguf
        quern convert smollm2.gguf -o ./smollm2-hf --dtype f16
      """)

  @Argument(help: "A Hugging Face directory, or a file of any container (quern containers).")
  var model: FilePath

  @OptionGroup var output: OutputOptions

  @Option(help: "Float type for all matrices: f32, f16 or bf16 (default: as stored).")
  var dtype: String?

  @OptionGroup var common: CommonOptions

  func run() throws {
    let processor = try common.processor()
    let opened = try OpenedCheckpoint(model, common)
    let recipe = try dtype.map { name throws(UsageError) in
      guard ["f32", "f16", "bf16"].contains(name.lowercased()), let recipe = (try? RecipeBook())?[name] else {
        let advice = (try? RecipeBook())?[name] == nil ? "" : "; to quantize, use: quern quantize --recipe \(name)"
        throw UsageError("--dtype takes f32, f16 or bf16, not '\(name)'\(advice)")
      }
      return recipe
    }
    let job = try ConversionJob(
      opened, plan: try recipe?.plan(for: opened.model), ggufFileType: recipe?.ggufFileType,
      container: output.container(), kernels: processor.kernels)
    try output.perform(job, label: "convert", processor: processor, asJSON: common.json)
  }
}
