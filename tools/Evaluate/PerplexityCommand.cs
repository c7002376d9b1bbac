using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using PureQLora.Core;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Evaluate;

/// <summary><c>evaluate perplexity</c>: how well a model predicts a text.</summary>
internal static class PerplexityCommand
{
    private static readonly JsonSerializerOptions Json = new() { WriteIndented = true };

    public static Command Create()
    {
        Option<string> model = CommonOptions.Model();
        Option<string?> adapter = CommonOptions.Adapter();
        Option<string?> text = new Option<string?>("--text") { Description = "Text file; cut into windows of token ids." }.NotEmpty();
        Option<string?> ids = new Option<string?>("--token-ids") { Description = "JSON array of rows of token ids, one window a row, each taken after BOS." }.NotEmpty();
        Option<int> window = new("--window") { Description = "Tokens of a window of --text.", DefaultValueFactory = _ => 512 };
        Option<string?> output = new Option<string?>("--output") { Description = "JSON file to write: perplexity, nll, tokens." }.NotEmpty();
        Option<int> threads = CommonOptions.Threads();
        Option<string> device = CommonOptions.Device();
        Option<Precision?> precision = CommonOptions.PrecisionOption();
        Command command = new("perplexity", "Measures perplexity on a text or on token ids.") { model, adapter, text, ids, window, output, threads, device, precision };
        command.SetAction(result =>
        {
            (string? textPath, string? idsPath) = (result.GetValue(text), result.GetValue(ids));
            if (textPath is null == idsPath is null)
            {
                throw new UserErrorException("Give either --text or --token-ids.");
            }

            string? content = textPath is null ? null : ReadText(textPath);
            using DeviceChoice chosen = DeviceChoice.Open(result.GetValue(device)!, result.GetValue(threads));
            using ModelFolder folder = ModelFolder.Open(result.GetValue(model)!, result.GetValue(adapter));
            Precision rounding = CommonOptions.ShowDevice(chosen, result.GetValue(precision));
            IReadOnlyList<int[]> windows = content is null
                ? TokenIdFile.Read(idsPath!, 0, folder.Model.Config.VocabularySize)
                : PerplexityEvaluator.Windows(folder.Tokenizer.Encode(content), result.GetValue(window));
            chosen.Require(planner => planner.Scoring(BaseShape.Of(folder.Model), rounding, PerplexityEvaluator.LargestPass(windows)));
            folder.Model.MoveTo(chosen.Backend);
            PerplexityResult measured = ConsoleProgress.Run("perplexity", windows.Count, progress => PerplexityEvaluator.Measure(
                folder.Model,
                chosen.Backend,
                windows,
                folder.BosId,
                rounding,
                new SynchronousProgress<int>(done => progress.Update(done)),
                ToolProgram.Cancellation));
            if (result.GetValue(output) is { } path)
            {
                AtomicFile.WriteText(path, JsonSerializer.Serialize(measured, Json) + "\n");
            }

            System.Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"perplexity {measured.Perplexity:F4}  nll {measured.Nll:F6}  tokens {measured.Tokens}"));
            return ToolProgram.Success;
        });
        return command;
    }

    private static string ReadText(string path)
    {
        try
        {
            return File.ReadAllText(path);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new UserErrorException($"{path} cannot be read ({exception.Message}); check the path.", exception);
        }
    }
}
