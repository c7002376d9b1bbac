using PureQLora.Core;

namespace PureQLora.Models;

/// <summary>Finds out which layers of a configuration see only a window; each family says it in its own way.</summary>
internal static class SlidingWindowReader
{
    private const int DefaultWindow = 4096;

    /// <summary>The window of each layer, null for full attention.</summary>
    public static IReadOnlyList<int?> Read(JsonFields fields, ModelFamily family, int layers)
    {
        int? window = fields.Integer("sliding_window", 1, 1 << 28)
            ?? (fields.Contains("sliding_window") || family == ModelFamily.Llama ? null : DefaultWindow);
        bool[] slides = new bool[layers];
        switch (family)
        {
            case ModelFamily.Llama when window is not null:
                throw new UserErrorException($"{fields.Source}: \"sliding_window\" is {window}, but a llama has none; if it is a mistral, \"model_type\" must say so.");
            case ModelFamily.Mistral:
                Array.Fill(slides, window is not null);
                break;
            case ModelFamily.Qwen2 or ModelFamily.Qwen3:
                window = fields.Flag("use_sliding_window", fallback: false) ? window : null;
                int full = fields.Integer("max_window_layers", 0, 1 << 20) ?? 28;
                for (int layer = full; layer < layers; layer++)
                {
                    slides[layer] = window is not null;
                }

                break;
            default:
                break;
        }

        ApplyLayerTypes(fields, family, slides, window);
        return [.. slides.Select(slide => slide ? window : null)];
    }

    private static void ApplyLayerTypes(JsonFields fields, ModelFamily family, bool[] slides, int? window)
    {
        if (fields.Texts("layer_types") is not { } types)
        {
            return;
        }

        if (types.Count != slides.Length)
        {
            throw new UserErrorException($"{fields.Source}: \"layer_types\" has {types.Count} entries, but \"num_hidden_layers\" is {slides.Length}.");
        }

        for (int layer = 0; layer < slides.Length; layer++)
        {
            bool slide = types[layer] switch
            {
                LlamaConfigReader.FullAttention => false,
                LlamaConfigReader.SlidingAttention => true,
                string other => throw new UserErrorException($"{fields.Source}: \"layer_types\" has \"{other}\" for layer {layer}, allowed are \"{LlamaConfigReader.FullAttention}\" and \"{LlamaConfigReader.SlidingAttention}\"."),
            };
            if (slide && window is null)
            {
                throw new UserErrorException($"{fields.Source}: \"layer_types\" gives layer {layer} a sliding window, but no window is set or its use is switched off.");
            }

            // Mistral's window holds for all its layers whatever the list says.
            if (family == ModelFamily.Mistral && slide != slides[layer])
            {
                throw new UserErrorException($"{fields.Source}: \"layer_types\" gives layer {layer} full attention, but a mistral with a \"sliding_window\" uses it in every layer.");
            }

            slides[layer] = slide;
        }
    }
}
