using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// Linear layers as transformers saves them with bitsandbytes in 4 bits: <c>weight</c> u8 [⌈out·in / 2⌉, 1] and, with the same name in
/// front, <c>absmax</c>, <c>quant_map</c> f32 [16], <c>quant_state.bitsandbytes__nf4</c> (JSON as bytes) and, of double quantisation,
/// <c>nested_absmax</c> and <c>nested_quant_map</c> f32 [256].
/// </summary>
public static class BitsAndBytesCheckpoint
{
    private const string StatePrefix = ".weight.quant_state.bitsandbytes__";

    private static readonly CodeBook[] Books = [CodeBook.NormalFloat4, CodeBook.Float4];

    /// <summary>Whether a linear layer of the checkpoint is stored as codes.</summary>
    /// <param name="checkpoint">An open checkpoint.</param>
    /// <param name="module">Such as <c>model.layers.0.self_attn.q_proj</c>.</param>
    public static bool IsQuantized(HuggingFaceCheckpoint checkpoint, string module)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        return BookIn(checkpoint, module) is not null;
    }

    /// <summary>Reads a quantised linear layer as it is stored.</summary>
    /// <exception cref="UserErrorException">Its tensors are damaged.</exception>
    public static BlockwiseMatrix ReadLayer(HuggingFaceCheckpoint checkpoint, string module)
    {
        ArgumentNullException.ThrowIfNull(checkpoint);
        CodeBook book = BookIn(checkpoint, module)
            ?? throw new UserErrorException($"{checkpoint.Folder}: {module} is not quantised with bitsandbytes in 4 bits; there is no tensor \"{module}{StatePrefix}nf4\".");
        (int outDim, int inDim) = LlamaTensorNames.LinearLayers(checkpoint.Config)[module];
        QuantState state = State(checkpoint, module, book, outDim, inDim);
        string prefix = module + ".weight.";
        float[] levels = Finite(checkpoint, prefix + "quant_map");
        NestedScales? nested = state.NestedBlockSize is not { } block ? null : new NestedScales(
            Bytes(checkpoint, prefix + "absmax"), Finite(checkpoint, prefix + "nested_absmax"), Finite(checkpoint, prefix + "nested_quant_map"), state.NestedOffset, block);
        float[] scales = nested?.Dequantize() ?? Finite(checkpoint, prefix + "absmax");
        CheckRange(checkpoint, prefix, scales, levels);
        return new BlockwiseMatrix
        {
            OutDim = outDim,
            InDim = inDim,
            Book = levels.AsSpan().SequenceEqual(book.Levels) ? book : new CodeBook(book.Name, levels),
            BlockSize = state.BlockSize,
            Codes = Bytes(checkpoint, module + ".weight"),
            Scales = scales,
            Nested = nested,
        };
    }

    /// <summary>
    /// Writes a quantised model: the given layers as codes, every other tensor of the source as it is stored there, the settings in
    /// <c>config.json</c>, and the source's tokenizer files.
    /// </summary>
    /// <param name="folder">Made where missing.</param>
    /// <param name="source">The checkpoint that was quantised: dense, or of this layout.</param>
    /// <param name="layers">By module name; layers that are left out stay as they are. All have one book.</param>
    /// <param name="replaced">Dense tensors by name that are written in place of the source's, in the source's type; null for none.</param>
    /// <exception cref="UserErrorException">The disk is full or the place cannot be written.</exception>
    public static void Write(
        string folder, HuggingFaceCheckpoint source, IReadOnlyDictionary<string, BlockwiseMatrix> layers, IReadOnlyDictionary<string, Tensor>? replaced = null)
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentNullException.ThrowIfNull(layers);
        IReadOnlyDictionary<string, (int Out, int In)> modules = LlamaTensorNames.LinearLayers(source.Config);
        foreach ((string module, BlockwiseMatrix matrix) in layers)
        {
            if (!modules.TryGetValue(module, out (int Out, int In) size) || size != (matrix.OutDim, matrix.InDim))
            {
                throw new ArgumentException($"\"{module}\" [{matrix.OutDim}, {matrix.InDim}] is no linear layer of the source.", nameof(layers));
            }
        }

        SafetensorsWriter writer = new();
        foreach ((string name, Shape shape) in LlamaTensorNames.Tensors(source.Config))
        {
            string module = name[..name.LastIndexOf('.')];
            bool isWeight = name.EndsWith(".weight", StringComparison.Ordinal);
            if (isWeight && layers.TryGetValue(module, out BlockwiseMatrix? matrix))
            {
                AddLayer(writer, module, matrix, StoredType(source, module));
            }
            else if (isWeight && source.IsQuantized(module))
            {
                Copy(writer, source, CheckLayer(source, module, (int)shape[0], (int)shape[1]));
            }
            else
            {
                writer.Add(name, replaced?.GetValueOrDefault(name) ?? source.Get(name), source.Info(name).Type);
            }
        }

        string[] dense = [.. modules.Keys.Where(module => !layers.ContainsKey(module) && !source.IsQuantized(module))];
        BitsAndBytesConfig settings = (source.Config.Quantization as BitsAndBytesConfig ?? Settings(source, layers)) with
        {
            SkippedModules = dense.Length == 0 ? null : [.. dense, "lm_head"],
        };
        HuggingFaceCheckpoint.Write(folder, source.Config with { Quantization = settings }, writer, source.Folder);
    }

    /// <summary>The book of that name, or null.</summary>
    internal static CodeBook? BookOf(string type) => Books.FirstOrDefault(book => book.Name == type);

    /// <summary>Checks types and shapes of a quantised layer's tensors.</summary>
    /// <returns>Their names.</returns>
    internal static IEnumerable<string> CheckLayer(HuggingFaceCheckpoint checkpoint, string module, int outDim, int inDim)
    {
        CodeBook book = BookIn(checkpoint, module)!;
        QuantState state = State(checkpoint, module, book, outDim, inDim);
        long blocks = BlockwiseMatrix.BlockCount(outDim, inDim, state.BlockSize);
        string weight = module + ".weight";
        LayerTensors tensors = new(checkpoint);
        tensors.Names.Add(StateName(module, book));
        tensors.Require(weight, [(((long)outDim * inDim) + 1) / 2, 1], SafetensorsType.U8);
        tensors.Require(weight + ".quant_map", [CodeBook.Length], SafetensorsType.F32);
        tensors.Require(weight + ".absmax", [blocks], state.NestedBlockSize is null ? SafetensorsType.F32 : SafetensorsType.U8);
        if (state.NestedBlockSize is { } nested)
        {
            tensors.Require(weight + ".nested_absmax", [(blocks + nested - 1) / nested], SafetensorsType.F32);
            tensors.Require(weight + ".nested_quant_map", [256], SafetensorsType.F32);
        }

        return tensors.Names;
    }

    private static string StateName(string module, CodeBook book) => module + StatePrefix + book.Name;

    private static CodeBook? BookIn(HuggingFaceCheckpoint checkpoint, string module) => Books.FirstOrDefault(book => checkpoint.Contains(StateName(module, book)));

    private static QuantState State(HuggingFaceCheckpoint checkpoint, string module, CodeBook book, int outDim, int inDim)
    {
        string name = StateName(module, book);
        return QuantState.Parse(Bytes(checkpoint, name), $"{checkpoint.FileOf(name).Path}: tensor \"{name}\"", book.Name, outDim, inDim);
    }

    private static byte[] Bytes(HuggingFaceCheckpoint checkpoint, string name) => checkpoint.FileOf(name).ReadBytes(name);

    private static float[] Finite(HuggingFaceCheckpoint checkpoint, string name)
    {
        checkpoint.FileOf(name).CheckFinite(name);
        return checkpoint.FileOf(name).ReadFloats(name);
    }

    /// <summary>Numbers that are finite may have a product that is not.</summary>
    private static void CheckRange(HuggingFaceCheckpoint checkpoint, string prefix, float[] scales, float[] levels)
    {
        float largest = scales.Max(Math.Abs) * levels.Max(Math.Abs);
        if (!float.IsFinite(largest))
        {
            throw new UserErrorException($"{checkpoint.FileOf(prefix + "absmax").Path}: the scales of \"{prefix}absmax\" make weights that are not finite; the file is damaged.");
        }
    }

    private static string StoredType(HuggingFaceCheckpoint source, string module) => BookIn(source, module) is { } book
        ? State(source, module, book, LlamaTensorNames.LinearLayers(source.Config)[module].Out, LlamaTensorNames.LinearLayers(source.Config)[module].In).StoredType
        : TypeName(source.Info(module + ".weight").Type);

    private static string TypeName(SafetensorsType type) => type switch
    {
        SafetensorsType.F16 => "float16",
        SafetensorsType.BF16 => "bfloat16",
        _ => "float32",
    };

    private static BitsAndBytesConfig Settings(HuggingFaceCheckpoint source, IReadOnlyDictionary<string, BlockwiseMatrix> layers) => new()
    {
        Book = layers.Values.FirstOrDefault()?.Book ?? CodeBook.NormalFloat4,
        DoubleQuantization = layers.Values.Any(layer => layer.Nested is not null),
        ComputeType = TypeName(source.Info(LlamaTensorNames.Embedding).Type),
    };

    private static void AddLayer(SafetensorsWriter writer, string module, BlockwiseMatrix matrix, string storedType)
    {
        string weight = module + ".weight";
        QuantState state = new(matrix.BlockSize, storedType, matrix.Nested?.BlockSize, matrix.Nested?.Offset ?? 0f);
        byte[] text = state.ToBytes(matrix.Book.Name, matrix.OutDim, matrix.InDim);
        writer.AddBytes(weight, SafetensorsType.U8, matrix.Codes, [matrix.Codes.Length, 1]);
        writer.AddBytes(StateName(module, matrix.Book), SafetensorsType.U8, text, [text.Length]);
        writer.AddFloats(weight + ".quant_map", matrix.Book.Levels.ToArray(), [CodeBook.Length]);
        if (matrix.Nested is not { } nested)
        {
            writer.AddFloats(weight + ".absmax", matrix.Scales, [matrix.Scales.Length]);
            return;
        }

        writer.AddBytes(weight + ".absmax", SafetensorsType.U8, nested.Codes, [nested.Codes.Length]);
        writer.AddFloats(weight + ".nested_absmax", nested.Absmax, [nested.Absmax.Length]);
        writer.AddFloats(weight + ".nested_quant_map", nested.Map, [nested.Map.Length]);
    }

    private static void Copy(SafetensorsWriter writer, HuggingFaceCheckpoint source, IEnumerable<string> names)
    {
        foreach (string name in names)
        {
            SafetensorsInfo info = source.Info(name);
            writer.Add(name, info.Type, [.. info.Shape], stream => stream.Write(Bytes(source, name)));
        }
    }
}
