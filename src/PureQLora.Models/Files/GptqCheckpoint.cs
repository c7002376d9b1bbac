using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Linear layers in the layout of GPTQ checkpoints: for a layer [out, in] of b-bit codes <c>qweight</c> i32 [in·b/32, out], <c>qzeros</c>
/// i32 [groups, out·b/32], <c>scales</c> f16 [groups, out] and <c>g_idx</c> i32 [in]; where QA-LoRA was merged, <c>offsets</c> f16
/// [groups, out] too (<see cref="GptqConfig.HasOffsets"/>).
/// </summary>
public static class GptqCheckpoint
{
    private const string OffsetsName = ".offsets";
    private const string SettingsFile = "quantize_config.json";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>Whether a linear layer of the checkpoint is stored as codes.</summary>
    /// <param name="checkpoint">An open checkpoint.</param>
    /// <param name="module">Such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    public static bool IsQuantized(HuggingFaceCheckpoint checkpoint, string module)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return checkpoint.Config.Quantization is GptqConfig && !checkpoint.Contains(module + ".weight");
    }

    /// <summary>Reads a quantised linear layer.</summary>
    /// <exception cref="UserErrorException">Its words, scales or group indices are damaged.</exception>
    public static QuantizedMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, string module)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        GptqConfig settings = checkpoint.Config.Quantization as GptqConfig
            ?? throw new UserErrorException($"{checkpoint.Folder} is not quantised: neither config.json nor {SettingsFile} has GPTQ settings.");
        settings = settings.For(module);
        SafetensorsInfo scalesInfo = checkpoint.Info(module + ".scales");
        int groups = checked((int)scalesInfo.Shape[0]);

        // From the configuration, not from the words: the last word of a side may be padded.
        (int outDim, int inDim) = LlamaTensorNames.LinearLayers(checkpoint.Config)[module];
        byte[] zeros = GptqPacking.UnpackZeros(Words(checkpoint, module + ".qzeros"), outDim, groups, settings.Bits, settings.Format, module);
        float[] scales = ReadByRow(checkpoint, scalesInfo.Name, outDim, groups);
        return QuantizedMatrix.FromWords(
            outDim, inDim, settings.Bits, settings.GroupSize, Words(checkpoint, module + ".qweight"), scales, zeros, ReadGroupIndex(checkpoint, module, groups));
    }

    /// <summary>
    /// Writes a quantised model: the given layers as codes, every other tensor of the source as it is, the settings both in
    /// <c>config.json</c> and in <c>quantize_config.json</c>, and the source's tokenizer files.
    /// </summary>
    /// <param name="folder">Made where missing.</param>
    /// <param name="source">The full-precision checkpoint that was quantised.</param>
    /// <param name="settings">
    /// Bits and group size must be those of the layers. Act-order is set where a layer's groups are scattered, because readers look at
    /// <c>g_idx</c> only then.
    /// </param>
    /// <param name="layers">By module name; layers that are left out stay dense.</param>
    /// <param name="replaced">Dense tensors by name that are written in place of the source's, in the source's type; null for none.</param>
    /// <param name="offsets">
    /// Offsets of layers by module name, [outDim, groups] (<see cref="WeightMatrix.Offsets"/>); null or empty for a plain GPTQ file. With any,
    /// all layers get some, be they zero, and scales that are no float16 values are stored as float32.
    /// </param>
    /// <exception cref="UserErrorException">A layer does not fit the format, or the disk is full.</exception>
    public static void Write(
        string folder,
        HuggingFaceCheckpoint source,
        GptqConfig settings,
        IReadOnlyDictionary<string, QuantizedMatrix> layers,
        IReadOnlyDictionary<string, Tensor>? replaced = null,
        IReadOnlyDictionary<string, Tensor>? offsets = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(settings);
        ArgumentNullException.ThrowIfNull(layers);
        IReadOnlyDictionary<string, (int Out, int In)> modules = LlamaTensorNames.LinearLayers(source.Config);
        foreach ((string module, QuantizedMatrix matrix) in layers)
        {
            if (!modules.TryGetValue(module, out (int Out, int In) size) || size != (matrix.OutDim, matrix.InDim))
            {
                throw new ArgumentException($"\"{module}\" [{matrix.OutDim}, {matrix.InDim}] is no linear layer of the source.", nameof(layers));
            }

            RequireFit(module, matrix, settings.For(module));
            settings = settings with { DescendingActivations = settings.DescendingActivations || !matrix.GroupIndex.IsEmpty };
        }

        settings = settings with { HasOffsets = offsets is { Count: > 0 } };
        string[] quantized = [.. LlamaTensorNames.LinearLayersOfBlock.Where(name => layers.Keys.Any(module => module.EndsWith(name, StringComparison.Ordinal)))];
        settings = settings with { QuantizedModules = quantized.Length == LlamaTensorNames.LinearLayersOfBlock.Count ? null : quantized };
        SafetensorsWriter writer = new();
        foreach (string name in LlamaTensorNames.Tensors(source.Config).Keys)
        {
            if (name.EndsWith(".weight", StringComparison.Ordinal) && layers.TryGetValue(name[..^7], out QuantizedMatrix? matrix))
            {
                AddLayer(writer, name[..^7], matrix, settings);
                if (settings.HasOffsets)
                {
                    AddOffsets(writer, name[..^7], matrix, offsets!.GetValueOrDefault(name[..^7]));
                }
            }
            else
            {
                writer.Add(name, replaced?.GetValueOrDefault(name) ?? source.Get(name), source.Info(name).Type);
            }
        }

        AtomicFile.WriteText(Path.Combine(folder, SettingsFile), settings.ToJson().ToJsonString(Indented) + "\n");
        HuggingFaceCheckpoint.Write(folder, source.Config with { Quantization = settings }, writer, source.Folder);
    }

    /// <summary>
    /// Whether layers of that size fill their words, as other programs demand. Where they do not, the last word of a side is filled up
    /// with zeros, which this reader understands and others may refuse.
    /// </summary>
    /// <returns>Null, or one sentence.</returns>
    public static string? PaddingWarning(string module, int outDim, int inDim, int bits) =>
        ((long)inDim * bits) % 32 == 0 && ((long)outDim * bits) % 32 == 0
            ? null
            : $"{module} is [{outDim}, {inDim}], and only sides that are a multiple of {(bits == 3 ? 32 : 32 / bits)} fill the 32-bit words of {bits}-bit codes; the last word is padded, and programs other than this one may refuse to load it.";

    /// <summary>The configuration with the settings of <c>quantize_config.json</c> where <c>config.json</c> has none.</summary>
    internal static LlamaConfig WithSettingsOf(string folder, LlamaConfig config)
    {
        string path = Path.Combine(folder, SettingsFile);
        if (!File.Exists(path))
        {
            return config;
        }

        QuantizationConfig settings = QuantizationConfig.Parse(new JsonFields(JsonFile.ReadObject(path), path));
        if (config.Quantization is not { } own)
        {
            return config with { Quantization = settings };
        }

        if (own is GptqConfig inner && settings is GptqConfig { Dynamic.Count: > 0 } outer)
        {
            if (inner.Dynamic.Count > 0 && !inner.Dynamic.SequenceEqual(outer.Dynamic))
            {
                throw new UserErrorException($"{path} and config.json beside it name different \"dynamic\" settings; remove the wrong ones.");
            }

            config = config with { Quantization = inner with { Dynamic = outer.Dynamic } };
        }

        return own.Description == settings.Description
            ? config
            : throw new UserErrorException($"{path} says {settings.Description}; config.json beside it says {own.Description}; remove the wrong one.");
    }

    /// <summary>Checks types and shapes of a quantised layer's tensors.</summary>
    /// <returns>Their names.</returns>
    internal static IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, string module, int outDim, int inDim)
    {
        GptqConfig whole = (GptqConfig)checkpoint.Config.Quantization!;
        if (whole.OverrideOf(module) is { Excluded: true } entry)
        {
            throw new UserErrorException(
                $"{checkpoint.Folder}: the tensor \"{module}.weight\" is missing, and the quantisation settings exclude the module (\"-:{entry.Pattern}\"); the checkpoint is incomplete or of another kind.");
        }

        GptqConfig settings = whole.For(module);
        int groupSize = settings.GroupSize == -1 ? inDim : settings.GroupSize;
        long groups = ((long)inDim + groupSize - 1) / groupSize;
        LayerTensors tensors = new(checkpoint);
        tensors.Require(module + ".qweight", [GptqPacking.WordCount(inDim, settings.Bits), outDim], SafetensorsType.I32);
        tensors.Require(module + ".qzeros", [groups, GptqPacking.WordCount(outDim, settings.Bits)], SafetensorsType.I32);
        tensors.Require(module + ".scales", [groups, outDim], SafetensorsType.F16, SafetensorsType.BF16, SafetensorsType.F32);
        if (settings.HasOffsets)
        {
            tensors.Require(module + OffsetsName, [groups, outDim], SafetensorsType.F16, SafetensorsType.BF16, SafetensorsType.F32);
        }

        if (checkpoint.Contains(module + ".g_idx") || settings.DescendingActivations)
        {
            tensors.Require(module + ".g_idx", [inDim], SafetensorsType.I32);
        }

        return tensors.Names;
    }

    /// <summary>Reads the offsets of a quantised linear layer.</summary>
    /// <returns>[outDim, groups], or null where all are zero.</returns>
    /// <exception cref="UserErrorException">They are not finite, or the layer's groups are scattered or uneven.</exception>
    internal static Tensor? ReadOffsets(HuggingFaceCheckpoint checkpoint, string module)
    {
        string name = module + OffsetsName;
        (int outDim, int inDim) = LlamaTensorNames.LinearLayers(checkpoint.Config)[module];
        int groups = checked((int)checkpoint.Info(name).Shape[0]);
        float[] offsets = ReadByRow(checkpoint, name, outDim, groups);
        if (!offsets.AsSpan().ContainsAnyExcept(0f))
        {
            return null;
        }

        int groupSize = inDim / groups;
        int[] index = ReadGroupIndex(checkpoint, module, groups);
        return inDim % groups == 0 && !index.Where((group, column) => group != column / groupSize).Any()
            ? Tensor.From(offsets, new Shape(outDim, groups))
            : throw new UserErrorException($"{checkpoint.FileOf(name).Path}: tensor \"{name}\" has offsets for the {groups} groups of {inDim} columns, but these are scattered or not all of one size; the file is damaged.");
    }

    /// <summary>[groups, outDim] in the file, [outDim, groups] in memory.</summary>
    internal static float[] ReadByRow(HuggingFaceCheckpoint checkpoint, string name, int outDim, int groups)
    {
        checkpoint.FileOf(name).CheckFinite(name);
        float[] stored = checkpoint.FileOf(name).ReadFloats(name);
        return Transposed(stored, groups, outDim);
    }

    private static float[] Transposed(ReadOnlySpan<float> values, int rows, int columns)
    {
        float[] transposed = new float[values.Length];
        for (int row = 0; row < rows; row++)
        {
            for (int column = 0; column < columns; column++)
            {
                transposed[(column * rows) + row] = values[(row * columns) + column];
            }
        }

        return transposed;
    }

    private static ReadOnlySpan<int> Words(HuggingFaceCheckpoint checkpoint, string name) => checkpoint.Get(name).Ints;

    private static int[] ReadGroupIndex(HuggingFaceCheckpoint checkpoint, string module, int groups)
    {
        string name = module + ".g_idx";
        if (!checkpoint.Contains(name))
        {
            return [];
        }

        int[] index = checkpoint.Get(name).Ints.ToArray();
        for (int column = 0; column < index.Length; column++)
        {
            if (index[column] < 0 || index[column] >= groups)
            {
                throw new UserErrorException($"{checkpoint.FileOf(name).Path}: tensor \"{name}\" puts column {column} into group {index[column]}, allowed are 0 to {groups - 1}; the file is damaged.");
            }
        }

        return index;
    }

    private static void RequireFit(string module, QuantizedMatrix matrix, GptqConfig settings)
    {
        int groupSize = settings.GroupSize == -1 ? matrix.InDim : Math.Min(settings.GroupSize, matrix.InDim);
        if (matrix.Bits != settings.Bits || matrix.GroupSize != groupSize)
        {
            throw new ArgumentException($"{module} has {matrix.Bits} bits in groups of {matrix.GroupSize}, the settings say {settings.Bits} in groups of {groupSize}.", nameof(settings));
        }
    }

    private static void AddLayer(SafetensorsWriter writer, string module, QuantizedMatrix matrix, GptqConfig settings)
    {
        (int outDim, int inDim, int bits, int groups) = (matrix.OutDim, matrix.InDim, matrix.Bits, matrix.Groups);
        writer.Add(module + ".qweight", SafetensorsType.I32, [GptqPacking.WordCount(inDim, bits), outDim], stream =>
        {
            // Borrowed: one array after the other for every layer would pile up to hundreds of megabytes before they are collected.
            int count = checked(GptqPacking.WordCount(inDim, bits) * outDim);
            int[] words = ArrayPool<int>.Shared.Rent(count);
            matrix.CopyWords(words.AsSpan(0, count));
            WriteWords(stream, words.AsSpan(0, count));
            ArrayPool<int>.Shared.Return(words);
        });
        writer.Add(module + ".qzeros", SafetensorsType.I32, [groups, GptqPacking.WordCount(outDim, bits)], stream =>
        {
            byte[] zeros = new byte[checked(outDim * groups)];
            for (int row = 0; row < outDim; row++)
            {
                for (int group = 0; group < groups; group++)
                {
                    zeros[(row * groups) + group] = (byte)matrix.Zero(row, group);
                }
            }

            WriteWords(stream, GptqPacking.PackZeros(zeros, outDim, groups, bits, settings.Format));
        });
        float[] scales = Transposed(matrix.RowScales, outDim, groups);

        // A merge that leaves codes alone leaves scales alone too, also those of bases that store them wider.
        bool wide = settings.HasOffsets && Array.Exists(scales, scale => (float)(Half)scale != scale);
        writer.AddFloats(module + ".scales", scales, [groups, outDim], wide ? SafetensorsType.F32 : SafetensorsType.F16);
        writer.AddInts(module + ".g_idx", (int[])[.. Enumerable.Range(0, inDim).Select(matrix.GroupOf)], [inDim]);
    }

    private static void AddOffsets(SafetensorsWriter writer, string module, QuantizedMatrix matrix, Tensor? offsets)
    {
        if (offsets is not null && (offsets.Shape[0] != matrix.OutDim || offsets.Shape[1] != matrix.Groups))
        {
            throw new ArgumentException($"{module} has offsets {offsets.Shape}, its groups ask for [{matrix.OutDim}, {matrix.Groups}].", nameof(offsets));
        }

        float[] stored = offsets is null ? new float[checked(matrix.OutDim * matrix.Groups)] : Transposed(offsets.ToArray(), matrix.OutDim, matrix.Groups);
        writer.AddFloats(module + OffsetsName, stored, [matrix.Groups, matrix.OutDim], SafetensorsType.F16);
    }

    private static void WriteWords(Stream stream, ReadOnlySpan<int> words) => stream.Write(MemoryMarshal.AsBytes(words));
}
