using System.Text.Json.Nodes;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Settings of a 4-bit bitsandbytes checkpoint as transformers writes them. The size of blocks stands beside each layer.</summary>
public sealed record BitsAndBytesConfig : QuantizationConfig
{
    /// <summary>What the codes stand for: NF4 or FP4.</summary>
    public required CodeBook Book { get; init; }

    /// <summary>Scales are quantised themselves.</summary>
    public bool DoubleQuantization { get; init; }

    /// <summary>Type that other programs compute in, such as <c>bfloat16</c>.</summary>
    public string ComputeType { get; init; } = "float32";

    /// <summary>
    /// Modules that are not quantised, where that is more than the output layer; null for those. It is written for other programs; what is
    /// quantised in a file, its tensors tell.
    /// </summary>
    public IReadOnlyList<string>? SkippedModules { get; init; }

    /// <inheritdoc/>
    public override string Description => $"bitsandbytes {Book.Name}{(DoubleQuantization ? ", scales quantised as well" : string.Empty)}";

    internal static new BitsAndBytesConfig Parse(JsonFields fields)
    {
        if (fields.Flag("load_in_8bit", fallback: false) || !fields.Flag("load_in_4bit", fallback: false))
        {
            throw new UserErrorException(
                $"{fields.Source}: \"{fields.Path("load_in_4bit")}\" is not true, allowed of bitsandbytes are 4-bit checkpoints; quantise the full-precision model with tools/Quantize instead.");
        }

        if (fields.Text("bnb_4bit_quant_storage") is { } storage and not "uint8")
        {
            throw new UserErrorException($"{fields.Source}: \"{fields.Path("bnb_4bit_quant_storage")}\" is \"{storage}\", allowed is \"uint8\"; save the model with that storage.");
        }

        string type = fields.Text("bnb_4bit_quant_type") ?? "fp4";
        return new BitsAndBytesConfig
        {
            Book = BitsAndBytesCheckpoint.BookOf(type)
                ?? throw new UserErrorException($"{fields.Source}: \"{fields.Path("bnb_4bit_quant_type")}\" is \"{type}\", allowed are \"nf4\" and \"fp4\"."),
            DoubleQuantization = fields.Flag("bnb_4bit_use_double_quant", fallback: false),
            ComputeType = fields.Text("bnb_4bit_compute_dtype") ?? "float32",
            SkippedModules = fields.Texts("llm_int8_skip_modules"),
        };
    }

    internal override JsonObject ToJson() => new()
    {
        ["_load_in_4bit"] = true,
        ["_load_in_8bit"] = false,
        ["bnb_4bit_compute_dtype"] = ComputeType,
        ["bnb_4bit_quant_storage"] = "uint8",
        ["bnb_4bit_quant_type"] = Book.Name,
        ["bnb_4bit_use_double_quant"] = DoubleQuantization,
        ["llm_int8_enable_fp32_cpu_offload"] = false,
        ["llm_int8_has_fp16_weight"] = false,
        ["llm_int8_skip_modules"] = SkippedModules is null ? null : new JsonArray([.. SkippedModules.Select(name => (JsonNode?)name)]),
        ["llm_int8_threshold"] = 6.0,
        ["load_in_4bit"] = true,
        ["load_in_8bit"] = false,
        ["quant_method"] = "bitsandbytes",
    };

    internal override bool IsQuantized(HuggingFaceCheckpoint checkpoint, string module) => BitsAndBytesCheckpoint.IsQuantized(checkpoint, module);

    internal override IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, string module, int outDim, int inDim) =>
        BitsAndBytesCheckpoint.CheckLayer(checkpoint, module, outDim, inDim);

    internal override QuantizedMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, string module) =>
        BitsAndBytesCheckpoint.ReadLayer(checkpoint, module).ToMatrix();
}
