using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>How a checkpoint is quantised: <c>quantization_config</c> in <c>config.json</c>, or <c>quantize_config.json</c>. One kind for each layout.</summary>
public abstract record QuantizationConfig
{
    /// <summary>For people: <c>GPTQ, 4 bits in groups of 128</c>.</summary>
    public abstract string Description { get; }

    /// <summary>Reads the settings of any known layout.</summary>
    /// <exception cref="UserErrorException">Another method, or a value that is not supported.</exception>
    internal static QuantizationConfig Parse(JsonFields fields)
    {
        string? method = fields.Text("quant_method") ?? fields.Text("method");
        return method switch
        {
            "awq" => AwqConfig.Parse(fields),
            "bitsandbytes" => BitsAndBytesConfig.Parse(fields),

            // Transformers did not always name it.
            null when fields.Contains("load_in_4bit") || fields.Contains("load_in_8bit") => BitsAndBytesConfig.Parse(fields),
            null or "gptq" => GptqConfig.Parse(fields),
            _ => throw new UserErrorException(
                $"{fields.Source}: \"{fields.Path("quant_method")}\" is \"{method}\", allowed are \"gptq\", \"awq\" and \"bitsandbytes\"; quantise the full-precision model with tools/Quantize instead."),
        };
    }

    /// <summary>The object that <c>config.json</c> holds.</summary>
    internal abstract JsonObject ToJson();

    /// <summary>Whether a linear layer of the checkpoint is stored as codes.</summary>
    internal abstract bool IsQuantized(HuggingFaceCheckpoint checkpoint, string module);

    /// <summary>Checks types and shapes of a quantised layer's tensors.</summary>
    /// <returns>Their names.</returns>
    internal abstract IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, string module, int outDim, int inDim);

    /// <summary>Reads a quantised linear layer.</summary>
    /// <exception cref="UserErrorException">Its tensors are damaged.</exception>
    internal abstract QuantizedMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, string module);

    /// <summary>What is added to the values of a quantised linear layer, [outDim, groups]; null for nothing.</summary>
    /// <exception cref="UserErrorException">The tensor is damaged.</exception>
    internal virtual Tensor? ReadOffsets(HuggingFaceCheckpoint checkpoint, string module) => null;
}
