using System.Globalization;
using System.Text;
using System.Text.Json;
using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>
/// What bitsandbytes stores beside a 4-bit weight as JSON: <c>{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [out,
/// in]}</c>, and of double quantisation <c>nested_blocksize</c>, <c>nested_dtype</c> and <c>nested_offset</c>.
/// </summary>
/// <param name="BlockSize">Weights of a block.</param>
/// <param name="StoredType">Type of the weight before it was quantised.</param>
/// <param name="NestedBlockSize">Scales of a block, or null where they are plain numbers.</param>
/// <param name="NestedOffset">What is added to each scale.</param>
internal sealed record QuantState(int BlockSize, string StoredType, int? NestedBlockSize, float NestedOffset)
{
    private const int LongestText = 4096;

    // Flat but for the shape.
    private const int MaxDepth = 4;

    /// <summary>Reads and checks the text.</summary>
    /// <param name="utf8">The tensor's bytes.</param>
    /// <param name="source">What errors call it.</param>
    /// <param name="type">The type that the tensor's name says.</param>
    /// <param name="outDim">Rows that the configuration asks for.</param>
    /// <param name="inDim">Columns.</param>
    /// <exception cref="UserErrorException">It is damaged, or says something else.</exception>
    public static QuantState Parse(byte[] utf8, string source, string type, int outDim, int inDim)
    {
        if (utf8.Length > LongestText)
        {
            throw new UserErrorException($"{source} has {utf8.Length} bytes, allowed {LongestText}; the file is damaged.");
        }

        JsonFields fields = new(JsonFile.ParseObject(utf8, source, MaxDepth), source);
        if (fields.Text("quant_type") is { } stored && stored != type)
        {
            throw new UserErrorException($"{source}: \"quant_type\" is \"{stored}\", the tensor's name says {type}; the file is damaged.");
        }

        IReadOnlyList<int> shape = fields.Integers("shape", 1, int.MaxValue);
        if (!shape.SequenceEqual([outDim, inDim]))
        {
            throw new UserErrorException(
                $"{source}: \"shape\" is [{string.Join(", ", shape)}], config.json asks for [{outDim}, {inDim}]; the checkpoint and its configuration do not belong together.");
        }

        int block = fields.RequiredInteger("blocksize", BlockwiseOptions.SmallestBlock, BlockwiseOptions.LargestBlock);
        if (!BlockwiseOptions.IsBlock(block))
        {
            throw new UserErrorException($"{source}: \"blocksize\" is {block}, allowed are powers of two.");
        }

        int? nestedBlock = fields.Integer("nested_blocksize", 1, 1 << 16);
        return nestedBlock is null
            ? new QuantState(block, fields.Text("dtype") ?? "float32", null, 0f)
            : new QuantState(
                block,
                fields.Text("dtype") ?? "float32",
                nestedBlock,
                (float)(fields.Number("nested_offset", -1e30, 1e30) ?? throw new UserErrorException($"{source}: \"nested_offset\" is missing; the file is damaged.")));
    }

    /// <summary>The text as Python's <c>json.dumps</c> writes it.</summary>
    /// <param name="type">nf4 or fp4.</param>
    /// <param name="outDim">Rows.</param>
    /// <param name="inDim">Columns.</param>
    public byte[] ToBytes(string type, int outDim, int inDim)
    {
        string nested = NestedBlockSize is null
            ? string.Empty
            : string.Create(
                CultureInfo.InvariantCulture,
                $", \"nested_blocksize\": {NestedBlockSize}, \"nested_dtype\": \"float32\", \"nested_offset\": {Number(NestedOffset)}");
        return Encoding.UTF8.GetBytes(string.Create(
            CultureInfo.InvariantCulture,
            $"{{\"quant_type\": \"{type}\", \"blocksize\": {BlockSize}, \"dtype\": {JsonSerializer.Serialize(StoredType)}, \"shape\": [{outDim}, {inDim}]{nested}}}"));
    }

    /// <summary>The shortest decimal that is the same float64, and a number of Python's kind: 1.0, not 1.</summary>
    private static string Number(double value)
    {
        string text = value.ToString("R", CultureInfo.InvariantCulture).Replace('E', 'e');
        return text.AsSpan().ContainsAny('.', 'e') ? text : text + ".0";
    }
}
