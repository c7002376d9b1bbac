using System.CommandLine;
using System.Globalization;
using PureQLora.Models;
using Spectre.Console;

namespace PureQLora.Tools.Inspect;

/// <summary><c>inspect model</c>: configuration, sizes and types of a folder.</summary>
internal static class ModelCommand
{
    public static Command Create()
    {
        Argument<string> folder = new("DIR") { Description = "Folder with config.json, weights and tokenizer." };
        Command command = new("model", "Shows configuration, tensors and memory of a model folder.") { folder };
        command.SetAction(result =>
        {
            using ModelFolder model = ModelFolder.Open(result.GetValue(folder)!);
            Show(model);
            return ToolProgram.Success;
        });
        return command;
    }

    private static void Show(ModelFolder folder)
    {
        LlamaModel model = folder.Model;
        LlamaConfig config = model.Config;
        ConsoleTable.Show(
            "Model",
            ("architecture", config.Architecture),
            ("layers", Text(config.Layers)),
            ("hidden size", Text(config.HiddenSize)),
            ("feed-forward size", Text(config.IntermediateSize)),
            ("heads (key-value)", $"{config.Heads} ({config.KeyValueHeads}), dimension {config.HeadDim}"),
            ("vocabulary", Text(config.VocabularySize)),
            ("positions", Text(config.MaxPositions)),
            ("rotary base, scaling", $"{Text(config.RopeTheta)}, {config.RopeScaling.TypeName}"),
            ("quantised", config.Quantization?.Description ?? "no"),
            ("tied embeddings", config.TieWordEmbeddings ? "yes" : "no"),
            ("weights", model.ParameterCount.ToString("N0", CultureInfo.InvariantCulture)),
            ("memory of weights", ConsoleTable.Bytes(model.WeightBytes)),
            ("ignored keys of config.json", config.IgnoredKeys.Count == 0 ? "none" : string.Join(", ", config.IgnoredKeys)));
        Table table = new Table().Border(TableBorder.Simple).AddColumns("Layer", "Weight", "Bias", "Memory");
        foreach (LinearLayer layer in model.Linears)
        {
            table.AddRow(layer.Name, Markup.Escape(layer.Weight.ToString()), layer.Bias is null ? "" : "yes", ConsoleTable.Bytes(layer.Weight.ByteLength));
        }

        AnsiConsole.Write(table);
    }

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
}
