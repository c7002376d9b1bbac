using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>A LoRA adapter as plain data, checked against the base model.</summary>
/// <param name="Config">Its settings.</param>
/// <param name="Modules">Names of the adapted modules, in the order of the model.</param>
/// <param name="Tensors">Float32 tensors of their own memory, under the names of the file (<see cref="NameOfA"/>, <see cref="NameOfB"/>).</param>
public sealed record PeftAdapter(LoraConfig Config, IReadOnlyList<string> Modules, IReadOnlyDictionary<string, Tensor> Tensors)
{
    private const string Prefix = "base_model.model.";

    /// <summary>Name in <c>adapter_model.safetensors</c> of a module's A, [rank, in]; of QA-LoRA [rank, in / group size].</summary>
    public static string NameOfA(string module) => $"{Prefix}{module}.lora_A.weight";

    /// <summary>Name in <c>adapter_model.safetensors</c> of a module's B, [out, rank].</summary>
    public static string NameOfB(string module) => $"{Prefix}{module}.lora_B.weight";
}
