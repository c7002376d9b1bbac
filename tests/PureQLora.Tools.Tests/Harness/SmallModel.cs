using PureQLora.Core;
using PureQLora.Models;

namespace PureQLora.Tools.Tests;

/// <summary>A model folder with random weights and the small SentencePiece tokenizer.</summary>
internal static class SmallModel
{
    public const int Vocabulary = 640;
    public const int Layers = 2;

    public static string Write(string folder, ulong seed = 7)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": {{Vocabulary}}, "hidden_size": 64, "intermediate_size": 128,
             "num_hidden_layers": {{Layers}}, "num_attention_heads": 4, "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "bos_token_id": 1, "eos_token_id": 2,
             "torch_dtype": "float32"}
            """);
        LlamaConfig config = LlamaConfig.Read(folder);
        RandomWeights weights = new(config, seed, 0.1f);
        SafetensorsWriter writer = new();
        foreach (string name in LlamaTensorNames.Tensors(config).Keys)
        {
            writer.Add(name, name.Contains("norm", StringComparison.Ordinal) ? weights.Vector(name) : weights.Tensor(name));
        }

        HuggingFaceCheckpoint.Write(folder, config, writer, RepositoryPaths.Fixture("text", "tokenizers", "spm600"));
        return folder;
    }

    /// <summary>An adapter on q, k, v and o whose B is not zero.</summary>
    public static string WriteAdapter(string model, string folder)
    {
        using ModelFolder opened = ModelFolder.Open(model);
        LoraConfig config = new() { Rank = 4, Alpha = 8, TargetModules = ["q_proj", "k_proj", "v_proj", "o_proj"] };
        LoraInjection.Inject(opened.Model, config, seed: 3);
        RandomState random = new(11);
        foreach (LinearLayer layer in opened.Model.Linears.Where(layer => layer.Adapter is not null))
        {
            ulong key = random.NextKey();
            Span<float> values = layer.Adapter!.B.Floats;
            for (int i = 0; i < values.Length; i++)
            {
                values[i] = 0.1f * (RandomState.Uniform(key, i) - 0.5f);
            }
        }

        PeftCheckpoint.Write(folder, LoraInjection.Extract(opened.Model, config));
        return folder;
    }
}
