using System.Text;
using PureQLora.Models;

namespace PureQLora.Tools.Bench;

/// <summary>Writes a GGUF file (version 3) of a LLaMA shape with random Q4_0 weights, head and embedding included, for llama.cpp.</summary>
/// <remarks>Q4_0: blocks of 32 weights, each a float16 scale and 16 bytes of codes with zero point 8.</remarks>
internal static class RandomGguf
{
    private const int Alignment = 32;
    private const int BlockWeights = 32;
    private const int BlockBytes = 18;
    private const uint TypeF32 = 0;
    private const uint TypeQ4 = 2;
    private const uint ValueUInt32 = 4;
    private const uint ValueInt32 = 5;
    private const uint ValueFloat32 = 6;
    private const uint ValueString = 8;
    private const uint ValueArray = 9;
    private const int ByteTokens = 256;

    /// <summary>Deviation of the weights over that of a uniform 4-bit code.</summary>
    private const float Scale = 0.02f / 4.61f;

    /// <summary>Writes the file.</summary>
    public static void Write(string path, LlamaConfig config)
    {
        using BinaryWriter writer = new(new FileStream(path, FileMode.Create, FileAccess.Write, FileShare.None, 1 << 20));
        List<(string Name, long[] Extents, uint Type)> tensors = Tensors(config);
        writer.Write("GGUF"u8);
        writer.Write(3u);
        writer.Write((long)tensors.Count);
        WriteMetadata(writer, config);
        long offset = 0;
        foreach ((string name, long[] extents, uint type) in tensors)
        {
            WriteText(writer, name);
            writer.Write((uint)extents.Length);
            Array.ForEach(extents, writer.Write);
            writer.Write(type);
            writer.Write(offset);
            offset += Align(ByteLength(extents, type));
        }

        Pad(writer);
        Random random = new(1);
        foreach ((_, long[] extents, uint type) in tensors)
        {
            WriteValues(writer, random, extents, type);
            Pad(writer);
        }
    }

    private static List<(string Name, long[] Extents, uint Type)> Tensors(LlamaConfig config)
    {
        (long hidden, long vocabulary) = (config.HiddenSize, config.VocabularySize);
        List<(string, long[], uint)> tensors =
            [("token_embd.weight", [hidden, vocabulary], TypeQ4), ("output_norm.weight", [hidden], TypeF32), ("output.weight", [hidden, vocabulary], TypeQ4)];
        Dictionary<string, string> names = new()
        {
            ["q_proj"] = "attn_q", ["k_proj"] = "attn_k", ["v_proj"] = "attn_v", ["o_proj"] = "attn_output",
            ["gate_proj"] = "ffn_gate", ["up_proj"] = "ffn_up", ["down_proj"] = "ffn_down",
        };
        foreach ((string module, (int outDim, int inDim)) in LlamaTensorNames.LinearLayers(config))
        {
            string[] parts = module.Split('.');     // model.layers.0.self_attn.q_proj
            tensors.Add(($"blk.{parts[2]}.{names[parts[^1]]}.weight", [inDim, outDim], TypeQ4));
        }

        for (int layer = 0; layer < config.Layers; layer++)
        {
            tensors.Add(($"blk.{layer}.attn_norm.weight", [hidden], TypeF32));
            tensors.Add(($"blk.{layer}.ffn_norm.weight", [hidden], TypeF32));
        }

        return tensors;
    }

    private static void WriteMetadata(BinaryWriter writer, LlamaConfig config)
    {
        (string Key, uint Value)[] numbers =
        [
            ("general.file_type", 2), ("llama.vocab_size", (uint)config.VocabularySize), ("llama.context_length", (uint)config.MaxPositions),
            ("llama.embedding_length", (uint)config.HiddenSize), ("llama.block_count", (uint)config.Layers),
            ("llama.feed_forward_length", (uint)config.IntermediateSize), ("llama.rope.dimension_count", (uint)config.HeadDim),
            ("llama.attention.head_count", (uint)config.Heads), ("llama.attention.head_count_kv", (uint)config.KeyValueHeads),
            ("tokenizer.ggml.unknown_token_id", 0), ("tokenizer.ggml.bos_token_id", 1), ("tokenizer.ggml.eos_token_id", 2),
        ];
        writer.Write((long)numbers.Length + 7);
        foreach ((string key, uint value) in numbers)
        {
            WriteKey(writer, key, ValueUInt32);
            writer.Write(value);
        }

        foreach ((string key, string value) in ((string, string)[])[("general.architecture", "llama"), ("general.name", "random"), ("tokenizer.ggml.model", "llama")])
        {
            WriteKey(writer, key, ValueString);
            WriteText(writer, value);
        }

        WriteKey(writer, "llama.attention.layer_norm_rms_epsilon", ValueFloat32);
        writer.Write((float)config.RmsNormEpsilon);
        WriteVocabulary(writer, config.VocabularySize);
    }

    // Three special tokens, the bytes, then names that no text has.
    private static void WriteVocabulary(BinaryWriter writer, int size)
    {
        WriteArray(writer, "tokenizer.ggml.tokens", ValueString, size);
        for (int id = 0; id < size; id++)
        {
            WriteText(writer, id switch { 0 => "<unk>", 1 => "<s>", 2 => "</s>", < 3 + ByteTokens => $"<0x{id - 3:X2}>", _ => $"t{id}" });
        }

        WriteArray(writer, "tokenizer.ggml.scores", ValueFloat32, size);
        for (int id = 0; id < size; id++)
        {
            writer.Write(-(float)id);
        }

        WriteArray(writer, "tokenizer.ggml.token_type", ValueInt32, size);
        for (int id = 0; id < size; id++)
        {
            writer.Write(id switch { 0 => 2, 1 or 2 => 3, < 3 + ByteTokens => 6, _ => 1 });
        }
    }

    private static void WriteValues(BinaryWriter writer, Random random, long[] extents, uint type)
    {
        long count = extents.Aggregate(1L, (product, extent) => product * extent);
        if (type == TypeF32)
        {
            for (long i = 0; i < count; i++)
            {
                writer.Write(1f);
            }

            return;
        }

        byte[] row = new byte[extents[0] / BlockWeights * BlockBytes];
        for (long i = 0; i < extents[1]; i++)
        {
            random.NextBytes(row);
            for (int block = 0; block < row.Length; block += BlockBytes)
            {
                BitConverter.TryWriteBytes(row.AsSpan(block), (Half)(Scale * (0.5f + (row[block] / 255f))));
            }

            writer.Write(row);
        }
    }

    private static long ByteLength(long[] extents, uint type)
    {
        long count = extents.Aggregate(1L, (product, extent) => product * extent);
        return type == TypeF32 ? count * sizeof(float) : count / BlockWeights * BlockBytes;
    }

    private static long Align(long bytes) => (bytes + Alignment - 1) / Alignment * Alignment;

    private static void Pad(BinaryWriter writer)
    {
        writer.Flush();
        writer.Write(new byte[Align(writer.BaseStream.Position) - writer.BaseStream.Position]);
    }

    private static void WriteKey(BinaryWriter writer, string key, uint type)
    {
        WriteText(writer, key);
        writer.Write(type);
    }

    private static void WriteArray(BinaryWriter writer, string key, uint type, int count)
    {
        WriteKey(writer, key, ValueArray);
        writer.Write(type);
        writer.Write((long)count);
    }

    private static void WriteText(BinaryWriter writer, string text)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(text);
        writer.Write((long)bytes.Length);
        writer.Write(bytes);
    }
}
