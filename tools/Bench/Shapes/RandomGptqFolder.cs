using System.Runtime.InteropServices;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Writes a 4-bit GPTQ checkpoint of a shape with random words: embedding and head in float16, as other programs write them.</summary>
internal static class RandomGptqFolder
{
    private const int Bits = 4;
    private const int PieceWords = 1 << 18;

    /// <summary>Writes the folder.</summary>
    /// <returns>Bytes of all tensors.</returns>
    public static long Write(string folder, LlamaConfig config, int groupSize)
    {
        GptqConfig settings = new() { Bits = Bits, GroupSize = groupSize };
        SafetensorsWriter writer = new();
        IReadOnlyDictionary<string, (int Out, int In)> linears = LlamaTensorNames.LinearLayers(config);
        Random random = new(1);
        foreach ((string name, Core.Shape shape) in LlamaTensorNames.Tensors(config))
        {
            string module = name[..name.LastIndexOf('.')];
            if (linears.TryGetValue(module, out (int Out, int In) size))
            {
                AddLayer(writer, random, module, size.Out, size.In, groupSize);
            }
            else if (shape.Rank == 1)
            {
                writer.AddFloats(name, Enumerable.Repeat(1f, (int)shape.Count).ToArray(), [shape.Count], SafetensorsType.F16);
            }
            else
            {
                writer.Add(name, SafetensorsType.F16, [shape[0], shape[1]], stream => WriteHalves(stream, random, shape.Count));
            }
        }

        HuggingFaceCheckpoint.Write(folder, config with { Quantization = settings, StoredType = "float16" }, writer, tokenizerFrom: null);
        return writer.DataBytes;
    }

    private static void AddLayer(SafetensorsWriter writer, Random random, string module, int outDim, int inDim, int groupSize)
    {
        int group = groupSize <= 0 ? inDim : groupSize;
        int groups = (inDim + group - 1) / group;
        long words = GptqPacking.WordCount(inDim, Bits);
        long zeroWords = GptqPacking.WordCount(outDim, Bits);
        writer.Add(module + ".qweight", SafetensorsType.I32, [words, outDim], stream => WriteWords(stream, random, words * outDim));
        writer.Add(module + ".qzeros", SafetensorsType.I32, [groups, zeroWords], stream => WriteWords(stream, random, groups * zeroWords));
        writer.Add(module + ".scales", SafetensorsType.F16, [groups, outDim], stream => WriteHalves(stream, random, (long)groups * outDim));
        int[] groupIndex = new int[inDim];
        for (int column = 0; column < inDim; column++)
        {
            groupIndex[column] = column / group;
        }

        writer.AddInts(module + ".g_idx", groupIndex, [inDim]);
    }

    private static void WriteWords(Stream stream, Random random, long count)
    {
        byte[] piece = new byte[PieceWords * sizeof(int)];
        for (long left = count * sizeof(int); left > 0; left -= piece.Length)
        {
            random.NextBytes(piece);
            stream.Write(piece.AsSpan(0, (int)Math.Min(left, piece.Length)));
        }
    }

    private static void WriteHalves(Stream stream, Random random, long count)
    {
        Half[] piece = new Half[Math.Min(count, PieceWords)];
        for (int i = 0; i < piece.Length; i++)
        {
            piece[i] = (Half)(0.002f + (0.004f * random.NextSingle()));
        }

        for (long left = count; left > 0; left -= piece.Length)
        {
            stream.Write(MemoryMarshal.AsBytes(piece.AsSpan(0, (int)Math.Min(left, piece.Length))));
        }
    }
}
