using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;
using PureQLora.Models;
using PureQLora.Training;

namespace PureQLora.Tools.Inspect;

/// <summary><c>inspect tokens</c>: token ids and their decoding, a line each.</summary>
internal static class TokensCommand
{
    private static readonly JsonSerializerOptions Json = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static Command Create()
    {
        Option<string> model = new Option<string>("--model") { Description = "Model folder, or a tokenizer file.", Required = true }.NotEmpty();
        Option<string> text = new Option<string>("--text-file") { Description = "JSONL file with one JSON string a line.", Required = true }.NotEmpty();
        Option<bool> parse = new("--parse-special") { Description = "Read the spelling of special tokens as those tokens." };
        Option<bool> add = new("--add-special") { Description = "Put BOS and EOS around each text as the tokenizer's configuration says." };
        Option<string?> output = new Option<string?>("--output") { Description = "JSONL file to write; standard output if left out." }.NotEmpty();
        Command command = new("tokens", "Encodes texts and decodes them again: {\"ids\": [...], \"text\": ...} a line.") { model, text, parse, add, output };
        command.SetAction(result =>
        {
            ITokenizer tokenizer = TokenizerFile.Load(result.GetValue(model)!);
            string[] lines = [.. DataFile.LoadStrings(result.GetValue(text)!).Select(line => Encode(tokenizer, line, result.GetValue(add), result.GetValue(parse)))];
            Write(result.GetValue(output), lines);
            return ToolProgram.Success;
        });
        return command;
    }

    private static string Encode(ITokenizer tokenizer, string text, bool addSpecial, bool parseSpecial)
    {
        int[] ids = tokenizer.Encode(text, addSpecial, parseSpecial);
        return JsonSerializer.Serialize(new { ids, text = tokenizer.Decode(ids) }, Json);
    }

    private static void Write(string? path, string[] lines)
    {
        if (path is not null)
        {
            AtomicFile.WriteText(path, string.Concat(lines.Select(line => line + "\n")));
            return;
        }

        foreach (string line in lines)
        {
            System.Console.Out.WriteLine(line);
        }
    }
}
