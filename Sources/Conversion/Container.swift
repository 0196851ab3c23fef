/// The kinds of files that hold models. What each reads, writes and loses stands in `ContainerTable`.
public enum Container: String, Sendable, CaseIterable {
  case safetensors
  case gguf
  case pytorch
  case numpy
  case onnx
  case tensorflow
  case hdf5
  case flax
  case mindspore
  case paddle
  case ctranslate2
  case llama2c = "llama2.c"
  case ggml
  case wordVectors = "word vectors"
  case fastText = "fasttext"
  /// A config.json alone: shapes without weights.
  case configuration

  /// Whether files of this kind lie in Hugging Face directories, under the names that transformers gives tensors: then
  /// a known family's tensors must all be there.
  var hasHuggingFaceNames: Bool { self == .safetensors || self == .pytorch }
}
