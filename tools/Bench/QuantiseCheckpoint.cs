using System.Runtime.InteropServices;
using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>A folder with a float16 model of random weights, deleted at the end: quantising starts from a mapped file, as it does for users.</summary>
internal sealed class QuantiseCheckpoint : IDisposable
{
    private const int TableLength = 1 << 22;
    private const float Deviation = 0.02f;

    private QuantiseCheckpoint(string folder) => Folder = folder;

    /// <summary>The folder.</summary>
    public string Folder { get; }

    /// <summary>Writes the model. Rows are windows of one table of normal numbers at random places: a gigabyte in a second.</summary>
    public static QuantiseCheckpoint Write(LlamaConfig config, int seed)
    {
        QuantiseCheckpoint checkpoint = new(Directory.CreateTempSubdirectory("pureqlora-bench-").FullName);
        var random = new Random(seed);
        Half[] table = new Half[TableLength];
        for (int i = 0; i < table.Length; i++)
        {
            // The sum of twelve uniform numbers is normal enough.
            float sum = -6;
            for (int k = 0; k < 12; k++)
            {
                sum += random.NextSingle();
            }

            table[i] = (Half)(Deviation * sum);
        }

        SafetensorsWriter writer = new();
        foreach ((string name, Shape shape) in LlamaTensorNames.Tensors(config))
        {
            long[] extents = [.. Enumerable.Range(0, shape.Rank).Select(i => shape[i])];
            writer.Add(name, SafetensorsType.F16, extents, stream => WriteTensor(stream, shape, table, random));
        }

        HuggingFaceCheckpoint.Write(checkpoint.Folder, config, writer, tokenizerFrom: null);
        return checkpoint;
    }

    /// <summary>Deletes the folder.</summary>
    public void Dispose() => Directory.Delete(Folder, recursive: true);

    private static void WriteTensor(Stream stream, Shape shape, Half[] table, Random random)
    {
        int columns = checked((int)shape[-1]);
        Half[] ones = shape.Rank == 1 ? [.. Enumerable.Repeat((Half)1, columns)] : [];
        for (long row = 0; row < shape.Count / columns; row++)
        {
            ReadOnlySpan<Half> values = shape.Rank == 1 ? ones : table.AsSpan(random.Next(TableLength - columns), columns);
            stream.Write(MemoryMarshal.AsBytes(values));
        }
    }
}
